"""From a video file to tracks: every sounding thing its own, in pieces that change nothing."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.inference import Segmenter, predict_folder
from avseg.io.image import read_index
from avseg.io.rle import decode
from avseg.io.video import iter_frames, write_video
from avseg.io.youtube_vis import read_results
from avseg.types import Clip, Task
from inference.fake import fake
from inference.test_folder import SCHEMA, check
from inference.tracker import HIGH, LOW, tracker

RATE = 16000
FPS = 4


def scene(seconds: float) -> list[np.ndarray]:
    """A red square that moves to the right, above a green one that stands still."""
    pictures = []
    for i in range(round(seconds * FPS)):
        picture = np.full((96, 160, 3), 20, np.uint8)
        left = min(8 * (i // FPS), 96)
        picture[8:40, left : left + 48] = (230, 20, 20)
        picture[56:88, 96:144] = (20, 230, 20)
        pictures.append(picture)
    return pictures


def sound(seconds: float, low: tuple[float, float] = (0, 0), high: tuple[float, float] = (0, 0)) -> np.ndarray:
    """(1, S): two tones, each within its span of s."""
    time = np.arange(round(seconds * RATE)) / RATE
    parts = [
        np.where((time >= begin) & (time < end), 0.3 * np.sin(2 * np.pi * hertz * time), 0)
        for hertz, (begin, end) in ((LOW, low), (HIGH, high))
    ]
    return np.sum(parts, 0, dtype=np.float32)[None].astype(np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds; the red square sounds from 0 to 4 and the green one from 2 to 7 s."""
    path = tmp_path_factory.mktemp("v") / "two.mp4"
    return write_video(path, scene(10), FPS, sound(10, (0, 4), (2, 7)), RATE)


def test_each_thing_is_a_track_that_is_empty_while_silent(video: Path) -> None:
    result = Segmenter(tracker(), fps=1).predict(video)
    assert result.size == (96, 160) and result.times.tolist() == pytest.approx([k + 0.5 for k in range(10)])
    assert [(track.id, track.class_id, track.name) for track in result.tracks] == [(1, 1, "drum"), (2, 2, "flute")]
    assert [track.score for track in result.tracks] == pytest.approx([0.84, 0.77], abs=0.03)
    assert [sorted(frame.names) for frame in result.frames] == [[1], [1], *[[1, 2]] * 2, *[[2]] * 3, [], [], []]
    red, green = result.frames[3].objects
    assert red.mask[10:38, 28:70].all() and not red.mask[:, :18].any() and not red.mask[44:].any()
    assert green.mask[60:84, 100:140].all() and not green.mask[:52].any()
    assert np.array_equal(np.unique(result.labels[3]), [0, 1, 2])
    told = {one["id"]: one for one in result.sounding}
    assert told[1]["intervals"] == [[0.0, pytest.approx(4, abs=0.02)]] and told[1]["class"] == "drum"
    assert told[2]["intervals"] == [[pytest.approx(2, abs=0.02), pytest.approx(7, abs=0.02)]]
    assert [told[i]["score"] for i in (1, 2)] == pytest.approx([0.84, 0.77], abs=0.03)


@pytest.mark.parametrize("length", [0, 3, 7, 8.5, 9.4])
def test_pieces_of_any_size_see_and_hear_the_same(tmp_path: Path, length: float) -> None:
    """Also where the sound ends long or a little before the picture: then the model's own rule holds for the end."""
    path = write_video(tmp_path / "v.mp4", scene(10), FPS, sound(length, (0, 2)) if length else None, RATE)
    whole = tracker(frames_at_once=100)
    expected = Segmenter(whole).predict(path).frames
    assert whole.pieces == [10]
    assert bool(expected[9].objects) == (length > 8.975)  # an unheard end, which this model takes for low sound
    for count in (1, 3, 9):
        model = tracker(frames_at_once=count)
        assert Segmenter(model).predict(path).frames == expected
        assert len(model.pieces) == -(-10 // count)


@pytest.mark.parametrize("fps", [0.5, 4])
def test_other_rates_work_in_pieces_too(video: Path, fps: float) -> None:
    one, other = (Segmenter(tracker(frames_at_once=n), fps=fps).predict(video).frames for n in (3, 100))
    assert one == other and len(one) == 10 * fps
    for frame in [frame for frame in one if frame.heard[1] < 10]:
        assert (1 in frame.names) == (frame.heard[0] < 3.9) and (2 in frame.names) == (1.1 < frame.heard[0] < 6.9)


def test_stream_predict_and_a_clip_agree(video: Path) -> None:
    segmenter = Segmenter(tracker(), fps=1)
    expected = segmenter.predict(video)
    assert tuple(segmenter.stream(video)) == expected.frames
    pictures = [picture for _, picture in iter_frames(video, 1, 0.5)]
    clip = Clip(
        id="c",
        frames=torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(),
        times=torch.arange(10, dtype=torch.float64),
        audio=torch.from_numpy(sound(10, (0, 4), (2, 7))),
        sample_rate=RATE,
    )
    result = segmenter.predict(clip)
    assert [frame.names for frame in result.frames] == [frame.names for frame in expected.frames]
    assert all(np.array_equal(a, b) for a, b in zip(result.labels, expected.labels, strict=True))


def test_long_videos_keep_their_maps_outside_of_memory(video: Path) -> None:
    inside = Segmenter(tracker(), fps=1).predict(video)
    outside = Segmenter(tracker(), options={"frames_in_memory": 0}).predict(video)
    for one, other in zip(inside.frames, outside.frames, strict=True):
        assert one.names == other.names
        assert [found.area for found in one.objects] == pytest.approx([f.area for f in other.objects], rel=0.01)


def test_score_and_candidates_are_options(video: Path) -> None:
    model = tracker(0.9, 0.8, 0.7, 0.2, 0.1)

    def found(**options: Any) -> list[float]:
        return [track.score for track in Segmenter(model, options=options).predict(video).tracks]

    assert len(found()) == 2 and len(found(score=0.8)) == 1 and len(found(score=0.95)) == 0
    assert len(found(score=0.15)) == 3 and len(found(score=0.05)) == 4
    assert len(found(score=0.05, candidates=3)) == 2  # the third is never there
    assert found(score=0.05) == sorted(found(score=0.05), reverse=True)
    with pytest.raises(ValueError, match="fake has no option 'score'; its predictions have no options"):
        Segmenter(fake(), options={"score": 0.1})
    with pytest.raises(ValueError, match="no option 'scor'; did you mean 'score'"):
        Segmenter(model, options={"scor": 0.1})
    with pytest.raises(ValueError, match=r"score 1\.0, wanted 0 or more and below 1"):
        Segmenter(model, options={"score": 1.0})


class Truth:
    """What `read_results` asks of a data set."""

    ids = ("two.mp4",)
    video_ids = {"two.mp4": 1}  # noqa: RUF012
    category_ids = (1, 2)

    def extent(self, index: int) -> tuple[int, tuple[int, int]]:
        return 10, (96, 160)


def test_a_folder_holds_tracks_labels_intervals_and_overlay(video: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(tracker(), fps=1)
    report = predict_folder(segmenter, [video], tmp_path, overlay=True)
    folder, result = report.done[video], segmenter.predict(video)
    assert sorted(path.name for path in folder.iterdir()) == ["masks", "overlay.mp4", "result.json", "tracks.json"]
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    classes = [{"id": int, "name": str}]
    tracks = [{"id": int, "class_id": int, "class": str, "score": float, "intervals": [[(int, float)]]}]
    check(told, {**SCHEMA, "classes": classes, "sounding": tracks})
    assert told["sounding"] == result.sounding and told["tracks"] == "tracks.json"
    (stored,) = read_results(folder / "tracks.json", Truth())
    assert stored.classes.tolist() == [1, 2] and stored.scores.tolist() == pytest.approx([0.84, 0.77], abs=0.03)
    assert stored.masks == result.to_prediction().masks
    assert [[mask is not None for mask in track] for track in stored.masks] == [
        [k < 4 for k in range(10)],
        [2 <= k < 7 for k in range(10)],
    ]
    for index, frame in enumerate(result.frames):
        labels = read_index(folder / f"masks/{index:06d}.png").numpy()
        assert np.array_equal(labels, frame.labels)
        for found in frame.objects:
            mask = stored.masks[found.id - 1][index]
            assert mask is not None and np.array_equal(decode(mask), labels == found.id)
    assert predict_folder(segmenter, [video], tmp_path, overlay=True).skipped
    other = Segmenter(segmenter.model, options={"score": 0.8})
    (reason,) = predict_folder(other, [video], tmp_path, overlay=True).failed.values()
    assert "with other weights or options" in reason
    assert predict_folder(other, [video], tmp_path, overlay=True, overwrite=True).done
    assert len(json.loads((folder / "tracks.json").read_text(encoding="utf-8"))) == 1


def test_the_overlay_paints_tracks_and_marks_who_sounds(video: Path, tmp_path: Path) -> None:
    result = Segmenter(tracker(), fps=1).predict(video)
    painted = [picture.astype(int) for _, picture in iter_frames(result.save_video(tmp_path / "o.mp4"))]
    assert len(painted) == 10 * FPS
    plain = [picture.astype(int) for _, picture in iter_frames(video)]
    changed = [np.abs(a - b).max(-1) > 40 for a, b in zip(painted, plain, strict=True)]
    assert changed[9 * FPS][56:88, 96:144].mean() < 0.1 < changed[5 * FPS][56:88, 96:144].mean()


def test_without_sound_a_warning_is_given_and_nothing_tracked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "mute.mp4", scene(3), FPS)
    with caplog.at_level(logging.WARNING):
        report = predict_folder(Segmenter(tracker(), fps=1), [path], tmp_path / "out", overlay=True)
    assert "mute.mp4 has no sound" in caplog.text and report.done
    told = json.loads((tmp_path / "out/mute/result.json").read_text(encoding="utf-8"))
    assert told["sounding"] == [] and len(told["frames"]) == 3
    assert json.loads((tmp_path / "out/mute/tracks.json").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("count", [1, 3])
def test_one_frame_and_less_than_a_second(tmp_path: Path, count: int) -> None:
    path = write_video(tmp_path / "short.mp4", scene(1)[:count], FPS, sound(count / FPS, (0, 1)), RATE)
    report = predict_folder(Segmenter(tracker(), fps=1), [path], tmp_path / "out", overlay=True)
    told = json.loads((report.done[path] / "result.json").read_text(encoding="utf-8"))
    assert len(told["frames"]) == 1 and [one["class"] for one in told["sounding"]] == ["drum"]


def test_a_model_without_audio_network_is_refused_in_a_sentence(video: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(tracker(audio_network="none"))
    with pytest.raises(
        ValueError,
        match=r"no audio network, so it cannot process the sound of a video; .*avseg convert avism .*--vggish",
    ):
        segmenter.predict(video)
    report = predict_folder(segmenter, [video], tmp_path / "out")
    assert "--vggish" in report.failed[video] and list((tmp_path / "out").iterdir()) == []


def test_more_tracks_than_label_maps_hold_are_refused(video: Path) -> None:
    model = tracker(*[0.9] * 300)
    with pytest.raises(ValueError, match=r"has 299 tracks, but label maps hold 255"):
        Segmenter(model, options={"candidates": 1000}).predict(video)


def test_a_full_disk_while_maps_are_stored_is_one_sentence(video: Path, tmp_path: Path, monkeypatch: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")
    full = partial(Path("/dev/full").open, "w+b", buffering=0)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full())
    segmenter = Segmenter(tracker(frames_at_once=2), options={"frames_in_memory": 5})
    report = predict_folder(segmenter, [video], tmp_path / "out", overlay=True)
    assert "is full after the maps of 0 frames" in report.failed[video] and "TMPDIR" in report.failed[video]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_dense_result_has_no_tracks(video: Path) -> None:
    result = Segmenter(fake(), fps=1).predict(video)
    assert result.tracks == () and all("score" not in one for one in result.sounding)
    with pytest.raises(ValueError, match="its binary model does not track"):
        result.to_prediction()


def test_the_command_line_takes_a_score(tmp_path: Path, video: Path, monkeypatch: Any, capsys: Any) -> None:
    from avseg.cli import run

    monkeypatch.setattr("avseg.inference.folder.load_model", lambda _: tracker())
    assert run(["predict", str(video), "--model", "m", "--out", str(tmp_path), "--score", "0.8", "--no-overlay"]) == 0
    told = json.loads((tmp_path / "two/result.json").read_text(encoding="utf-8"))
    assert told["fps"] == 1 and [one["class"] for one in told["sounding"]] == ["drum"]
    assert Task.from_dict(told["model"]["task"]).kind == "instance" and "1 segmented" in capsys.readouterr().out
