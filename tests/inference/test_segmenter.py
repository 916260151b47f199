"""From a video file to masks on the right pixels at the right time, with a model whose answer is plain to compute."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.inference import Segmenter, predict_folder
from avseg.inference.objects import full_size
from avseg.io.media import MediaError
from avseg.io.rle import decode, encode
from avseg.io.video import iter_frames, probe, read_audio, write_video
from avseg.types import Clip, DensePrediction, InstancePrediction, Task
from inference.fake import fake
from inference.media import make, number_of, tone, turn

RATE = 16000


def scene(seconds: float, fps: int = 10, size: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """A bright square on dark ground, left in even seconds and right in odd ones."""
    pictures = []
    for i in range(round(seconds * fps)):
        picture = np.full((*size, 3), 20, np.uint8)
        left = size[1] // 2 if (i // fps) % 2 else 0
        picture[size[0] // 4 : 3 * size[0] // 4, left : left + size[1] // 2] = 235
        pictures.append(picture)
    return pictures


def sounding(seconds: float, *spans: tuple[float, float]) -> np.ndarray:
    """A tone within `spans`, silence elsewhere: (1, S)."""
    sound = tone(seconds, RATE)
    time = np.arange(sound.shape[1]) / RATE
    heard = np.zeros(sound.shape[1], bool)
    for begin, end in spans:
        heard |= (time >= begin) & (time < end)
    return np.where(heard, sound, 0).astype(np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds; the square sounds from 2 to 4 s."""
    return write_video(tmp_path_factory.mktemp("v") / "square.mp4", scene(7), 10, sounding(7, (2, 4)), RATE)


def test_masks_lie_on_the_sounding_square_at_the_video_s_own_size(video: Path) -> None:
    result = Segmenter(fake(), fps=1).predict(video)
    assert result.size == (64, 96) and result.times.tolist() == pytest.approx([k + 0.9375 for k in range(7)])
    assert [bool(mask.any()) for mask in result.masks] == [False, False, True, True, True, False, False]
    left = result.masks[2]
    assert left[16:48, 2:46].all() and not left[:, 52:].any() and not left[:12].any()
    assert result.masks[3][16:48, 50:94].all()
    assert np.asarray(result.labels).shape == (7, 64, 96) and result.classes == ("sounding",)
    assert [len(part) for part in (result.masks[1:3], result.labels)] == [2, 7]
    assert result.scores[1][2] > 0.95 and result.scores[1][0] == 0


def test_each_frame_is_judged_with_its_own_second_of_sound(video: Path) -> None:
    result = Segmenter(fake(), fps=5).predict(video)
    assert len(result.frames) == 35
    for frame in result.frames:
        begin, end = frame.heard
        inside = max(0.0, min(end, 4) - max(begin, 2))
        if inside > 0.1 or inside == 0:
            assert bool(frame.objects) == (inside > 0), frame
        assert frame.time - 1.2 < begin < frame.time + 0.4 or frame.time < 6 > begin
    (span,) = result.sounding[0]["intervals"]
    assert span == pytest.approx([2.0, 4.0], abs=0.6)


def test_denser_output_contains_the_sparser(video: Path) -> None:
    one, four = Segmenter(fake(), fps=1).predict(video), Segmenter(fake(), fps=4).predict(video)
    times = four.times.tolist()
    for frame in one.frames[1:5]:
        match = four.frames[times.index(pytest.approx(frame.time))]
        assert np.array_equal(match.mask, frame.mask)


def test_groups_hold_five_frames_one_second_apart(video: Path) -> None:
    model = fake()
    Segmenter(model, fps=4).predict(video)
    for batch in model.seen:
        assert batch.frames.shape[1:] == (5, 3, 32, 48) and batch.valid.all()
    assert torch.diff(model.seen[-1].times, dim=1).tolist()[-1] == pytest.approx([1.0] * 4)
    last = model.seen[-1].frames[-1]
    assert torch.equal(last[2], last[4])


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 3.0, 4.9])
@pytest.mark.parametrize("fps", [1, 5])
def test_clips_shorter_than_five_frames_work(tmp_path: Path, seconds: float, fps: int) -> None:
    sound = sounding(seconds, (0, seconds))
    path = write_video(tmp_path / "short.mp4", scene(seconds), 10, sound, RATE)
    result = Segmenter(fake(), fps=fps).predict(path)
    assert len(result.frames) == max(1, round(seconds * fps)) or abs(len(result.frames) - seconds * fps) <= 1
    assert result.frames[0].objects or seconds < 0.5


def test_stream_and_predict_agree(video: Path) -> None:
    segmenter = Segmenter(fake(), fps=2)
    assert tuple(segmenter.stream(video)) == segmenter.predict(video).frames


def test_fewer_masks_than_pictures_keep_their_times(video: Path) -> None:
    result = Segmenter(fake(), fps=0.5).predict(video)
    assert result.times.tolist() == pytest.approx([0.9375, 2.9375, 4.9375, 6.9375])
    assert [frame.index for frame in result.frames] == [0, 1, 2, 3]


@pytest.mark.parametrize("temporal", [Temporal("frame", 1), Temporal("clip", None)])
def test_models_of_other_temporal_kinds(video: Path, temporal: Temporal) -> None:
    result = Segmenter(fake(temporal=temporal), fps=2).predict(video)
    assert result.times.tolist() == pytest.approx([k / 2 for k in range(14)])
    assert any(frame.objects for frame in result.frames)


def test_a_clip_is_segmented_as_it_is() -> None:
    frames = torch.from_numpy(np.stack(scene(5, fps=1))).permute(0, 3, 1, 2).contiguous()
    times = torch.arange(5, dtype=torch.float64)
    clip = Clip("c", frames, times, torch.from_numpy(sounding(5, (0, 2))), RATE, output_size=(128, 192))
    result = Segmenter(fake(), fps=1).predict(clip)
    assert result.size == (128, 192) and result.labels[0].shape == (128, 192)
    assert [bool(mask.any()) for mask in result.masks] == [True, True, True, False, False]
    assert result.frames[2].heard == pytest.approx((1.92, 2.895))
    assert Segmenter(fake(), fps=1).predict(replace(clip, output_size=None)).size == (64, 96)


@pytest.mark.parametrize("fps", [1, 5])
@pytest.mark.parametrize("begin", [0.0, 2.0])
def test_a_clip_can_be_saved_as_video_at_its_own_rate(tmp_path: Path, fps: float, begin: float) -> None:
    """The rate of masks that a Segmenter makes of videos is none of a clip's."""
    frames = torch.from_numpy(np.stack(scene(3, fps=1))).permute(0, 3, 1, 2).contiguous()
    times = torch.arange(3, dtype=torch.float64) + begin
    clip = Clip("c", frames, times, torch.from_numpy(sounding(5, (0, 5))), RATE)
    path = Segmenter(fake(), fps=fps).predict(clip).save_video(tmp_path / "c.mp4")
    info = probe(path)
    assert info.sound is not None and info.duration == pytest.approx(3, abs=0.1) and info.fps == pytest.approx(1)
    heard = read_audio(path)
    assert heard is not None and heard[0].shape[1] / RATE == pytest.approx(5 - begin, abs=0.1)


def test_silence_stands_in_for_missing_sound_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "mute.mp4", scene(2), 10)
    with caplog.at_level(logging.WARNING):
        result = Segmenter(fake(), fps=1).predict(path)
    assert "mute.mp4 has no sound" in caplog.text
    assert len(result.frames) == 2 and not any(frame.objects for frame in result.frames)


def test_sound_that_ends_early_is_not_repeated_for_the_rest(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(20), 10, sounding(3, (0, 3)), RATE)
    result = Segmenter(fake(), fps=1).predict(path)
    assert [bool(frame.objects) for frame in result.frames] == [True] * 4 + [False] * 16


def test_sound_that_begins_late_is_laid_at_its_time(tmp_path: Path) -> None:
    sound = tone(3, RATE)
    path = make(tmp_path / "late.mkv", scene(6), None, ("mjpeg", "yuvj444p"), sound, ("flac", "mono", RATE))
    shifted = tmp_path / "shifted.mkv"
    _delay_sound(path, shifted, 3.0)
    heard = read_audio(shifted)
    assert heard is not None and heard[2] == 0.0
    assert int(heard[0][0].abs().gt(0.1).nonzero()[0]) / heard[1] == pytest.approx(3.0, abs=0.01)
    result = Segmenter(fake(), fps=1).predict(shifted)
    assert [bool(frame.objects) for frame in result.frames] == [False, False, False, True, True, True]


def _delay_sound(source: Path, target: Path, seconds: float) -> None:
    import av

    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copies = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                packet.pts += round(seconds / packet.time_base)
                packet.dts += round(seconds / packet.time_base)
            packet.stream = copies[packet.stream.index]
            new.mux(packet)


def test_stereo_and_surround_reach_the_model_as_two_channels(tmp_path: Path) -> None:
    model = fake()
    for layout, channels in (("stereo", 2), ("5.1", 6)):
        sound = tone(1, 48000, channels)
        path = make(tmp_path / f"{channels}.mkv", scene(1), sound=sound, audio=("flac", layout, 48000))
        assert Segmenter(model).predict(path).frames[0].objects
        assert model.seen[-1].audio.shape[1] == 2 and model.seen[-1].sample_rate == 16000


def bright(seconds: float) -> list[np.ndarray]:
    return [np.full((64, 96, 3), 235, np.uint8)] * round(10 * seconds)


@pytest.mark.parametrize("side", [0, 1])
def test_a_stereo_model_hears_left_and_right(tmp_path: Path, side: int) -> None:
    sound = np.zeros((2, 2 * RATE), np.float32)
    sound[side] = sounding(2, (0, 2))
    path = make(tmp_path / "side.mkv", bright(2), sound=sound, audio=("flac", "stereo", RATE))
    result = Segmenter(fake(audio_channels=2)).predict(path)
    for mask in result.masks:
        halves = (mask[:, :48].all(), mask[:, 48:].all())
        assert halves == (side == 0, side == 1) and mask.any()
    averaged = Segmenter(fake(), fps=1).predict(path)
    assert all(mask.all() for mask in averaged.masks)


def test_a_window_around_the_picture_reaches_back_into_the_part_before(tmp_path: Path) -> None:
    sound = np.zeros((2, 9 * RATE), np.float32)
    sound[1, 4 * RATE : 5 * RATE] = tone(1, RATE)[0]
    path = make(tmp_path / "late.mkv", bright(9), sound=sound, audio=("flac", "stereo", RATE))
    window = AudioWindow(seconds=3.0, anchor="frame", offset=-1.5, missing="silence")
    model = fake(audio_channels=2, temporal=Temporal("frame", 1), audio=window)
    frames = Segmenter(model, fps=2).predict(path).frames
    assert [frame.time for frame in frames if frame.mask.any()] == pytest.approx([3, 3.5, 4, 4.5, 5, 5.5, 6])
    assert not any(frame.mask[:, :48].any() for frame in frames)


def test_mono_sound_is_refused_by_a_stereo_model(tmp_path: Path) -> None:
    segmenter = Segmenter(fake(audio_channels=2))
    mono = write_video(tmp_path / "mono.mp4", bright(1), 10, sounding(1, (0, 1)), RATE)
    stereo = make(tmp_path / "two.mkv", bright(1), sound=tone(1, RATE, 2), audio=("flac", "stereo", RATE))
    sentence = "mono.mp4 has mono sound, but this model needs stereo; give a stereo recording"
    with pytest.raises(MediaError, match=sentence):
        segmenter.predict(mono)
    report = predict_folder(segmenter, [mono, stereo], tmp_path / "out")
    assert list(report.done) == [stereo] and sentence in report.failed[mono] and report.exit_code == 1
    clip = Clip("c", torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1).double(), torch.zeros(1, RATE), RATE)
    with pytest.raises(MediaError, match="clip 'c' has mono sound"):
        segmenter.predict(clip)


def test_a_video_without_sound_is_silent_on_both_sides(tmp_path: Path) -> None:
    path = write_video(tmp_path / "mute.mp4", bright(1), 10)
    model = fake(audio_channels=2)
    assert not any(mask.any() for mask in Segmenter(model).predict(path).masks)
    assert model.seen[-1].audio.shape[1] == 2


def test_masks_follow_rotation(tmp_path: Path) -> None:
    path = make(tmp_path / "r.mp4", scene(1), sound=sounding(1, (0, 1)))
    turn(path, 0, 1, -1, 0)
    result = Segmenter(fake(input=InputSpec(size=(48, 32)))).predict(path)
    assert result.size == (96, 64)
    assert result.masks[0][4:44, 18:46].all() and not result.masks[0][54:].any()


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (33, 51)])
def test_odd_sizes_work_down_to_one_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    pictures = [np.full((*size, 3), 235, np.uint8)] * 20
    path = make(tmp_path / "odd.mkv", pictures, None, ("ffv1", "bgr0"), sounding(2, (0, 2)), ("flac", "mono", RATE))
    result = Segmenter(fake(), fps=1).predict(path)
    assert result.size == size and result.masks[0].all()
    overlay = probe(result.save_video(tmp_path / "o.mp4"))
    assert (overlay.height, overlay.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_what_falls_silent_twice_has_two_intervals(tmp_path: Path) -> None:
    path = write_video(tmp_path / "twice.mp4", scene(9), 10, sounding(9, (1, 2), (5, 6)), RATE)
    result = Segmenter(fake(), fps=1).predict(path)
    heard = [frame.index for frame in result.frames if frame.objects]
    groups = [[index for index in heard if index < 4], [index for index in heard if index > 4]]
    (one,) = result.sounding
    assert len(one["intervals"]) == 2 and 4 not in heard and heard[0] > 0 and heard[-1] < 8
    for (begin, end), group in zip(one["intervals"], groups, strict=True):
        middles = [sum(result.frames[index].heard) / 2 for index in (group[0] - 1, group[0], group[-1], group[-1] + 1)]
        assert (begin, end) == pytest.approx((sum(middles[:2]) / 2, sum(middles[2:]) / 2), abs=2e-3)


def test_semantic_results_name_their_classes(tmp_path: Path) -> None:
    picture = np.full((64, 96, 3), 20, np.uint8)
    picture[:, :40] = (230, 20, 20)
    picture[:, 60:] = (20, 230, 20)
    path = write_video(tmp_path / "s.mp4", [picture] * 30, 10, sounding(3, (0, 3)), RATE)
    result = Segmenter(fake(Task("semantic", ("red thing", "green thing")))).predict(path)
    assert result.classes == ("red thing", "green thing")
    labels = result.labels[1]
    assert (labels[:, :36] == 1).all() and (labels[:, 64:] == 2).all() and (labels[:, 44:56] == 0).all()
    assert [one["class"] for one in result.sounding] == ["red thing", "green thing"]
    assert result.sounding[0]["intervals"] == [[0.0, 3.0]]


def test_full_size_equals_the_prediction_s_own_labels_and_probabilities() -> None:
    generator = torch.Generator().manual_seed(1)
    for channels in (1, 5):
        prediction = DensePrediction("p", torch.randn(1, channels, 14, 18, generator=generator), (1100, 1200))
        labels, confidence = full_size(prediction, 0)
        expected = prediction.labels(0)
        assert (torch.from_numpy(labels) != expected).float().mean() < 1e-5
        probability = prediction.probabilities(0)
        best = probability[0] if channels == 1 else probability.max(0).values
        inside = torch.from_numpy(labels) > 0
        assert 0.2 < inside.float().mean() < 0.9
        assert torch.allclose(torch.from_numpy(confidence), best[inside], atol=1e-5)


def test_tracks_of_an_instance_model_keep_their_ids() -> None:
    mask = np.zeros((64, 96), bool)
    mask[10:20, 30:50] = True

    class Instances(type(fake())):
        tasks = frozenset({"instance"})

        def predict(self, batch):
            rles = [[encode(mask), None, encode(mask)], [None, encode(mask), encode(~mask)]]
            ids, scores = torch.tensor([4, 7]), torch.tensor([0.9, 0.6])
            return [InstancePrediction("i", rles, scores, torch.tensor([1, 1]), ids, (64, 96))]

    model = Instances(fake(temporal=Temporal("clip", None)).config, Task("instance", ("dog",)))
    frames = torch.zeros(3, 3, 64, 96, dtype=torch.uint8)
    clip = Clip("i", frames, torch.arange(3, dtype=torch.float64), torch.zeros(1, 48000), RATE)
    result = Segmenter(model).predict(clip)
    assert [[found.id for found in frame.objects] for frame in result.frames] == [[4], [7], [4, 7]]
    assert result.labels[2][15, 40] == 4 and result.labels[2][0, 0] == 7
    (found,) = result.frames[0].objects
    assert (found.area, found.box, found.name) == (200, (30, 10, 20, 10), "dog") and np.array_equal(found.mask, mask)
    assert {one["id"]: one["intervals"] for one in result.sounding} == {
        4: [[0.0, pytest.approx(0.968, abs=0.01)], [pytest.approx(1.928, abs=0.01), 3.0]],
        7: [[pytest.approx(0.968, abs=0.01), 3.0]],
    }


def test_coco_form_reads_back(video: Path) -> None:
    from pycocotools.coco import COCO

    result = Segmenter(fake(), fps=1).predict(video)
    content = json.loads(json.dumps(result.to_coco()))
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    assert len(coco.imgs) == 7 and coco.cats[1]["name"] == "sounding"
    (annotation,) = coco.imgToAnns[3]
    assert np.array_equal(decode(annotation["segmentation"]), result.masks[2])
    assert annotation["area"] == result.masks[2].sum() and annotation["bbox"] == list(result.frames[2].objects[0].box)


def test_the_overlay_keeps_frames_times_and_sound(video: Path, tmp_path: Path) -> None:
    path = Segmenter(fake(), fps=5).predict(video).save_video(tmp_path / "o.mp4")
    source, painted = list(iter_frames(video)), list(iter_frames(path))
    assert [time for time, _ in painted] == pytest.approx([time for time, _ in source], abs=1e-3)
    one, two = read_audio(video), read_audio(path)
    assert one is not None and two is not None and torch.equal(one[0], two[0])
    plain, tinted = painted[5][1].astype(int), painted[29][1].astype(int)
    assert abs(plain - source[5][1]).max() < 30
    orange = tinted[32, 24] - source[29][1][32, 24]
    assert orange[2] < -40 and tinted[32, 24, 0] > 200
    assert abs(tinted[32, 72] - source[29][1][32, 72]).max() < 30


def test_variable_rate_reaches_the_overlay(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 2.4, 2.5]
    path = make(tmp_path / "vfr.mkv", scene(0.7), times, sound=sounding(3, (0, 3)), audio=("flac", "mono", RATE))
    out = Segmenter(fake(), fps=2).predict(path).save_video(tmp_path / "o.mp4")
    assert [time for time, _ in iter_frames(out)] == pytest.approx(times, abs=2e-3)


@pytest.mark.parametrize("name", ["cuda:99" if not torch.cuda.is_available() else "xpu:99", "warp"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match="device"):
        Segmenter(fake(), device=name)


def test_numbers_of_pictures_match_the_clock(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), 16 + 6 * i, np.uint8) for i in range(30)]
    path = make(tmp_path / "n.mp4", pictures)
    assert [number_of(picture) for _, picture in iter_frames(path, 1, 0.9375)] == [9, 19, 29]
