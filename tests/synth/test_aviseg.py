"""Long videos: their tracks, that sound alone tells who sounds, their files read back, and that a seed fixes all."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.aviseg.polygons import box_of, outlines, segmentation_of
from avseg.datasets.folders import write
from avseg.datasets.world.videos import SynthVideos
from avseg.io.rle import decode, encode
from avseg.synth.classes import CLASSES
from avseg.synth.programme import VideoSpec, draw_video
from avseg.synth.scene import STRIDE, Swing, Visit
from avseg.synth.seconds import render_seconds
from avseg.synth.soundtrack import pulses
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.video import MOVIE_FPS, SynthVideo, make_video, write_movie
from avseg.synth.world import SPLITS
from avseg.types import InstanceTarget, TrackTarget

SMALL = VideoSpec(seconds=(20, 30), size=(48, 64))


def shown(video: SynthVideo) -> NDArray[np.bool_]:
    """(N, T) which bodies have a mask."""
    table = np.zeros_like(video.sounding)
    for body, track in video.truth(video.picture().owners).items():
        table[body] = [mask is not None for mask in track]
    return table


def twins(video: SynthVideo) -> list[int]:
    kinds = [body.kind for body in video.scene.bodies]
    return [number for number, kind in enumerate(kinds) if kinds.count(kind) == 2]


@pytest.fixture(scope="module")
def videos() -> list[SynthVideo]:
    """Drawn, not rendered."""
    return [make_video(0, index, VideoSpec(seconds=(30, 60), size=32)) for index in range(60)]


def test_frames_are_silent_single_and_multi_in_about_the_published_shares(videos: list[SynthVideo]) -> None:
    counts = np.concatenate([shown(video).sum(0) for video in videos])
    silent, single = float((counts == 0).mean()), float((counts == 1).mean())
    assert 0.03 < silent < 0.10 and 0.30 < single < 0.42
    assert counts.max() >= 4


def test_bodies_fall_silent_and_sound_again_and_one_at_least_is_silent(videos: list[SynthVideo]) -> None:
    runs = [np.clip(np.diff(row.astype(int), prepend=0), 0, 1).sum() for video in videos for row in video.sounding]
    assert np.mean(np.array(runs) >= 2) > 0.5
    assert 0 in runs, "some bodies never sound"
    assert all((video.sounding.sum(0) < len(video.scene.bodies)).all() for video in videos)


def test_how_long_nothing_changes_may_be_chosen() -> None:
    for index in range(10):
        video = make_video(0, index, VideoSpec(seconds=(24, 24), size=32, stretch=(6, 6)))
        changes = np.flatnonzero((np.diff(video.sounding.astype(int), axis=1) != 0).any(0)) + 1
        assert set(changes.tolist()) <= {6, 12, 18}


def test_twins_differ_by_their_rim_or_sound_together(videos: list[SynthVideo]) -> None:
    kinds = {"together": 0, "apart": 0}
    for video in videos:
        if pair := twins(video):
            first, second = (video.scene.bodies[body] for body in pair)
            if first.rimmed == second.rimmed:
                assert (video.sounding[pair[0]] == video.sounding[pair[1]]).all()
                kinds["together"] += 1
            else:
                kinds["apart"] += (video.sounding[pair[0]] != video.sounding[pair[1]]).any()
    assert kinds["together"] >= 8 and kinds["apart"] >= 8


def test_pulsing_sources_are_those_with_a_rim(videos: list[SynthVideo]) -> None:
    for video in videos:
        for source in video.soundtrack.sources:
            if source.body is not None:
                body = video.scene.bodies[source.body]
                assert (source.pulsing, source.kind) == (body.rimmed, body.kind)


def test_hearing_suffices(videos: list[SynthVideo]) -> None:
    """Which class is heard, pulsing or not, names the bodies that sound: those of that class with that rim."""
    for video in videos:
        seconds = np.arange(video.scene.seconds, dtype=float)
        heard: dict[tuple[int, bool], NDArray[np.bool_]] = {}
        for source in video.soundtrack.sources:
            voice = (source.kind, source.pulsing)
            heard[voice] = heard.get(voice, np.zeros(len(seconds), bool)) | source.sounding(seconds)
        for body, sounding in zip(video.scene.bodies, video.sounding, strict=True):
            expected = heard.get((body.kind, body.rimmed), np.zeros(len(seconds), bool))
            np.testing.assert_array_equal(sounding, expected)


def test_nothing_to_be_seen_tells_who_sounds(videos: list[SynthVideo]) -> None:
    """Rim, size, a twin, being in front and being away say nothing of how long a body sounds."""
    rows = []
    for video in videos:
        away = [isinstance(body.x, Visit) for body in video.scene.bodies]
        share = video.sounding.mean(1)
        share = share - share.mean()  # how many bodies there are does tell how likely each of them sounds
        for number, body in enumerate(video.scene.bodies):
            rows.append((share[number], body.rimmed, body.radius, number in twins(video), number, away[number]))
    table = np.array(rows, float)
    found = np.corrcoef(table.T)[0, 1:]
    assert (np.abs(found) < 3.5 / np.sqrt(len(table))).all(), found


def test_a_body_that_leaves_keeps_its_track_and_has_no_mask_while_away() -> None:
    away = Visit(Swing(0.5, 0.1, 5.0, 0.0), -0.3, ((5.0, 8.0),))
    places = away.at(np.array([2.9, 4.0, 5.0, 8.0, 9.0, 10.1]))
    assert places[2] == places[3] == -0.3 and places[0] > 0.3 < places[5] and -0.3 < places[1] < 0.5
    assert STRIDE < 3
    hidden = 0
    for index in range(12):
        video = make_video(1, index, SMALL)
        there = shown(video)
        hidden += int((video.sounding & ~there).sum())
        assert not (there & ~video.sounding).any()
        assert (there.any(1) == video.sounding.any(1)).all(), "whoever sounds is seen sounding at some time"
    assert hidden > 0


def test_some_frames_are_those_of_the_whole_and_so_is_their_sound() -> None:
    data = SynthVideos(2, seed=5, spec=SMALL, split="val")
    whole, frames = data[1], [3, 4, 11, 11, 19]
    part = data.read(1, None, frames)
    taken = whole.take(frames)
    assert part.frames.equal(taken.frames) and part.times.equal(taken.times)
    assert isinstance(part.target, TrackTarget) and isinstance(taken.target, TrackTarget)
    assert part.target.masks == taken.target.masks
    assert part.target.classes.equal(taken.target.classes) and part.target.track_ids.equal(taken.target.track_ids)
    assert part.audio.shape == whole.audio.shape
    heard = torch.zeros(whole.audio.shape[1] // SAMPLE_RATE, dtype=torch.bool)
    heard[frames] = True
    seconds = part.audio.reshape(-1, SAMPLE_RATE)
    assert seconds[heard].equal(whole.audio.reshape(-1, SAMPLE_RATE)[heard])
    assert not seconds[~heard].any() and whole.audio.reshape(-1, SAMPLE_RATE).any(1).all()
    assert list(data.annotated(1)) == list(range(len(whole.frames)))


def test_sound_runs_on_from_second_to_second() -> None:
    """Where a body keeps sounding, the step over the border of two seconds is like any other."""
    from avseg.synth.soundtrack import Soundtrack, Source
    from avseg.synth.world import make_clip

    scene = make_clip(0, 0, size=8).scene
    for kind in (1, 2, 5, 6, 8):  # the others are made of noise, or of chirps
        sound = render_seconds(scene, Soundtrack((Source(kind, ((0.0, 5.0),), None, seed=kind),), snr=200.0))[0]
        steps = np.abs(np.diff(sound))
        assert steps[SAMPLE_RATE - 1 :: SAMPLE_RATE].max() <= steps.max() * 0.9 + 1e-3
    with_sides = render_seconds(scene, Soundtrack((Source(1, ((1.0, 2.5),), None, side=1.0),), snr=200.0), stereo=True)
    assert np.abs(with_sides[0]).max() < 1e-6
    loud = np.abs(with_sides[1]).reshape(5, -1).max(1) > 1e-3
    assert loud.tolist() == [False, True, True, False, False]
    np.testing.assert_array_equal(with_sides[1, int(2.5 * SAMPLE_RATE) + 1 : 3 * SAMPLE_RATE] < 1e-6, True)


def test_pulses_fall_silent_twice_a_second() -> None:
    times = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    for seed in range(5):
        factors = pulses(times, seed)
        starts = ((factors[1:] > 0) & (factors[:-1] == 0)).sum()
        assert 17 <= starts <= 22 and 0.35 < (factors == 0).mean() < 0.55
        assert np.mean(factors.astype(float) ** 2) == pytest.approx(1, abs=0.1)


def ring(size: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y)
    return np.asarray((radius < 0.45 * size) & (radius > 0.2 * size))


def masks() -> list[NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    noise = [rng.random((int(h), int(w))) < 0.6 for h, w in rng.integers(2, 30, (60, 2))]
    touching = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0]], bool)
    return [ring(20), ring(21), ~ring(20), touching, np.ones((1, 1), bool), *(mask for mask in noise if mask.any())]


@pytest.mark.parametrize("form", ["polygon", "rle", "counts"])
def test_every_form_of_a_mask_gives_it_back_to_the_pixel(form: Any) -> None:
    from pycocotools import mask as coco

    for mask in masks():
        height, width = mask.shape
        stored = json.loads(json.dumps(segmentation_of(encode(mask), form)))
        if form == "polygon":
            assert all(len(polygon) >= 8 for polygon in stored)
            stored = coco.merge(coco.frPyObjects(stored, height, width))
        elif form == "counts":
            assert sum(stored["counts"]) == mask.size
            stored = coco.frPyObjects(stored, height, width)
        np.testing.assert_array_equal(decode(stored), mask)
        x, y, w, h = box_of(mask)
        assert mask[y : y + h, x : x + w].sum() == mask.sum() and mask[y].any() and mask[:, x + w - 1].any()


def test_no_polygon_has_a_hole() -> None:
    assert len(outlines(ring(20))) == 2
    assert outlines(np.ones((2, 3), bool)) == [[0, 0, 3, 0, 3, 2, 0, 2]]


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("form", ["polygon", "rle", "counts"])
def test_files_read_back_as_the_world(tmp_path: Path, form: str) -> None:
    write("aviseg", tmp_path, 4, 7, workers=1, size=(40, 56), seconds=(12, 16), segmentation=form)
    spec = VideoSpec(seconds=(12, 16), size=(40, 56))
    for split, count in {"train": 2, "val": 1, "test": 1}.items():
        data = build_dataset(data_config("aviseg", root=tmp_path), split)
        world = SynthVideos(count, 7, split=split, spec=spec)
        assert data.task == world.task and data.ids == world.ids and len(data) == count
        for index in range(count):
            clip, truth = data[index], world[index]
            assert clip.times.equal(truth.times)
            assert (clip.frames.int() - truth.frames.int()).abs().float().mean() < 8  # JPEG
            assert (clip.audio - truth.audio).abs().max() < 1 / 16384
            assert isinstance(clip.target, TrackTarget) and isinstance(truth.target, TrackTarget)
            assert clip.target.classes.equal(truth.target.classes)
            for found, wanted in zip(clip.target.masks, truth.target.masks, strict=True):
                for a, b in zip(found, wanted, strict=True):
                    assert (a is None) == (b is None)
                    if a is not None and b is not None:
                        np.testing.assert_array_equal(decode(a), decode(b))


def test_tables_have_the_published_fields(tmp_path: Path) -> None:
    summary = write("aviseg", tmp_path, 5, 2, workers=1, size=32, seconds=(6, 8), held_out=1, sample_rate=44100)
    assert "5 clips (3 train, 1 val, 1 test)" in str(summary)
    table = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))
    assert table["info"]["description"] and table["licenses"] == []
    assert table["categories"] == [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
    assert [video["id"] for video in table["videos"]] == [1, 2, 3]
    assert [entry["id"] for entry in table["annotations"]] == list(range(1, len(table["annotations"]) + 1))
    for entry in table["annotations"]:
        video = table["videos"][entry["video_id"] - 1]
        assert (entry["height"], entry["width"], entry["iscrowd"]) == (video["height"], video["width"], 0)
        parts = list(zip(entry["bboxes"], entry["areas"], entry["segmentations"], strict=True))
        assert len(parts) == video["length"] and any(box for box, _, _ in parts)
        for box, area, segmentation in parts:
            assert (box is None) == (area is None) == (segmentation is None)
            assert box is None or 8 <= area <= box[2] * box[3]
    name = table["videos"][0]["file_names"][0]
    assert name == "video_2_0000000000/00000.jpg" and (tmp_path / "train" / "JPEGImages" / name).is_file()
    from avseg.io.audio import read_wav

    sound, rate = read_wav(tmp_path / "train" / "WAVAudios" / "video_2_0000000000.wav")
    assert rate == 44100 and sound.shape == (2, 44100 * table["videos"][0]["length"])
    facts = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))["videos"]
    assert [fact["split"] for fact in facts] == ["train"] * 3 + ["val", "test"]


def test_workers_change_no_byte(tmp_path: Path) -> None:
    for workers in (1, 2):
        write("aviseg", tmp_path / str(workers), 3, 8, workers=workers, size=24, seconds=(3, 5))
    one, two = digests(tmp_path / "1"), digests(tmp_path / "2")
    assert one == two and len(one) > 3 * (3 + 1) + 4 - 1


def test_a_stopped_run_leaves_no_half_files_and_no_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import avseg.datasets.aviseg.write as writer

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "write_wav", full)
    with pytest.raises(OSError, match="No space"):
        write("aviseg", tmp_path, 3, 0, workers=1, size=24, seconds=(3, 3))
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.part*"))


def test_a_movie_shows_the_frames_and_plays_the_sound(tmp_path: Path) -> None:
    from avseg.io.video import iter_frames, read_audio

    video = make_video(3, SPLITS["test"], VideoSpec(seconds=(6, 6), size=(96, 128)))
    path = write_movie(tmp_path / "movie.mp4", video)
    frames = np.stack([frame for _, frame in iter_frames(path)])
    assert len(frames) == 6 * MOVIE_FPS
    assert np.abs(frames[MOVIE_FPS // 2 :: MOVIE_FPS].astype(int) - video.picture().frames).mean() < 8
    found = read_audio(path, sample_rate=SAMPLE_RATE)
    assert found is not None and found[0].shape[0] == 2


def test_the_data_set_in_memory_by_its_name() -> None:
    config = data_config("synth", kind="instance", frames=9, size=24, clips=3, held_out_clips=2, seed=4)
    train, test = build_dataset(config, "train"), build_dataset(config, "test")
    assert (len(train), len(test)) == (3, 2) and not set(train.ids) & set(test.ids)
    assert train.suite == "aviseg" and train.task.kind == "instance" and train.task.classes == CLASSES
    clip = test[0]
    assert clip.frames.shape == (9, 3, 24, 24) and clip.audio.shape == (1, 9 * SAMPLE_RATE)
    assert isinstance(clip.target, TrackTarget) and clip.target.size == (24, 24)


def test_training_draws_frames_also_where_nothing_sounds() -> None:
    from avseg.config import InputSpec
    from avseg.data.loader import make_loader
    from avseg.data.transforms import train_transforms

    config = data_config(
        "synth", kind="instance", frames=12, size=32, clips=8, augment=("some_frames", "flip"), clip_frames=1
    )
    data = build_dataset(config, "train")
    instances = []
    for epoch in range(4):
        loader = make_loader(data, train_transforms(config, InputSpec((32, 32))), batch_size=4, shuffle=True)
        loader.set_position(epoch)
        for batch in loader:
            assert batch.frames.shape == (4, 1, 3, 32, 32) and batch.targets is not None
            instances += [len(target.classes) for target in batch.targets if isinstance(target, InstanceTarget)]
    assert len(instances) == 32 and 0 in instances and max(instances) > 1


@pytest.mark.parametrize("difficulty", ["easy", "standard", "hard"])
def test_any_difficulty_length_and_shape(difficulty: str) -> None:
    for index, (seconds, size) in enumerate((((1, 1), (16, 40)), ((40, 40), (40, 16)), ((2, 5), (8, 8)))):
        video = make_video(9, index, VideoSpec(difficulty, seconds, size))
        picture = video.picture([0])
        assert picture.frames.shape == (1, *video.size, 3)
        assert np.abs(render_seconds(video.scene, video.soundtrack, [0])).max() <= 0.99


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the fewest first"):
        VideoSpec(seconds=(9, 3))
    with pytest.raises(ValueError, match="did you mean 'standard'"):
        VideoSpec(difficulty="standart")
    with pytest.raises(ValueError, match="1 or more in every split"):
        write("aviseg", tmp_path, 4, 0, held_out=2)
    with pytest.raises(ValueError, match="polygon, rle or counts"):
        write("aviseg", tmp_path, 4, 0, segmentation="png")
    with pytest.raises(ValueError, match="must be 0 or greater"):
        draw_video(-1, 0, SMALL)
    with pytest.raises(ValueError, match="unknown split"):
        SynthVideos(3, split="dev")
    with pytest.raises(IndexError):
        SynthVideos(3)[3]
    assert not list(tmp_path.iterdir())
