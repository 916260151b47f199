"""The world's two guards, its truth, and that a seed fixes every byte."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from avseg.datasets.folders import write
from avseg.datasets.vpo.options import StillOptions
from avseg.datasets.world.clips import SynthDataset
from avseg.synth.classes import CLASSES
from avseg.synth.difficulty import DIFFICULTIES
from avseg.synth.picture import render
from avseg.synth.programme import VideoSpec
from avseg.synth.scene import TWIN_GAP
from avseg.synth.shapes import REACH, SILHOUETTES, TEXTURES
from avseg.synth.soundtrack import Source, render_sound, soundtrack_for
from avseg.synth.timbres import SAMPLE_RATE, play
from avseg.synth.world import ClipSpec, SynthClip, draw, ensemble, make_clip


def digest(index: int) -> str:
    clip = make_clip(7, index, size=64, stereo=index % 2 == 1)
    return sha256(clip.frames.tobytes() + clip.audio.tobytes() + clip.labels.tobytes()).hexdigest()


def published_j(predicted: np.ndarray, truth: np.ndarray) -> float:
    """J of one frame (Zhou et al. 2022): with empty truth, the share of pixels rightly left empty."""
    if not truth.any():
        return float((~predicted).mean())
    return float((predicted & truth).sum() / ((predicted | truth).sum() + 1e-7))


def union(masks: np.ndarray, chosen: list[int]) -> np.ndarray:
    return masks[chosen].any(0) if chosen else np.zeros(masks.shape[1:], bool)


def by_sight(masks: np.ndarray) -> dict[str, np.ndarray]:
    """What guessers who know every object's mask but hear nothing would mark."""
    order = [int(i) for i in np.argsort(-masks.sum((1, 2)))]
    offset = [np.abs(np.argwhere(m).mean(0) - 32).sum() if m.any() else np.inf for m in masks]
    return {
        "nothing": union(masks, []),
        "everything": union(masks, order),
        "largest": union(masks, order[:1]),
        "two largest": union(masks, order[:2]),
        "all but the smallest": union(masks, order[:-1]),
        "smallest": union(masks, order[-1:]),
        "nearest to the middle": union(masks, [int(np.argmin(offset))]),
        "in front": union(masks, [len(masks) - 1]),
        "behind": union(masks, [0]),
        "the one of a few, else all": union(masks, order[:1] if len(order) <= 2 else order),
    }


def by_ear(clip: SynthClip, t: int) -> np.ndarray:
    """An oracle told which classes sound and where from; it marks the fitting body nearest to the place."""
    chosen = []
    for source in clip.soundtrack.sources:
        if not source.sounding(clip.times)[t]:
            continue
        place = source.side if source.body is None else clip.positions[source.body, t]
        fitting = [i for i, kind in enumerate(clip.classes) if kind == source.kind]
        chosen += sorted(fitting, key=lambda i: abs(clip.positions[i, t] - place))[:1]
    return union(clip.masks[:, t], chosen)


@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize("difficulty", ["easy", "standard", "hard"])
def test_sight_alone_fails_and_hearing_suffices(difficulty: str, stereo: bool) -> None:
    guesses: dict[str, list[float]] = {}
    heard = []
    for index in range(40):
        clip = make_clip(5, index, difficulty=difficulty, size=64, stereo=stereo)
        for t, labels in enumerate(clip.labels):
            heard.append(published_j(by_ear(clip, t), labels > 0))
            for name, mask in by_sight(clip.masks[:, t]).items():
                guesses.setdefault(name, []).append(published_j(mask, labels > 0))
    means = {name: float(np.mean(values)) for name, values in guesses.items()}
    assert max(means.values()) <= 0.6, means
    assert np.mean(heard) >= 0.95


def test_same_seed_gives_same_bytes_in_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        elsewhere = list(pool.map(digest, [3, 1, 0]))
    assert elsewhere == [digest(3), digest(1), digest(0)]
    assert len({digest(i) for i in range(4)}) == 4


def test_some_body_is_always_silent_and_offscreen_sounds_have_no_body() -> None:
    offscreen = 0
    for index in range(150):
        clip = make_clip(2, index, size=16)
        assert len(set(clip.classes)) == len(clip.classes) >= 2, "in mono two of a class could not be told apart"
        assert not clip.sounding.any(1).all()
        assert clip.sounding.sum(0).max() <= max(1, len(clip.classes) // 2)
        for source in clip.soundtrack.sources:
            if source.body is None:
                offscreen += 1
                assert source.kind not in clip.classes
                assert clip.heard[:, source.kind - 1].any()
            for start, end in source.intervals:
                assert start == round(start) and end == round(end) and end - start >= 1
    assert 15 < offscreen < 75


def test_objects_start_and_stop_within_clips() -> None:
    changes = [np.diff(make_clip(2, i, size=16).sounding.astype(int), axis=1) for i in range(40)]
    assert sum((c == 1).sum() for c in changes) > 10
    assert sum((c == -1).sum() for c in changes) > 10


def test_of_twins_only_one_sounds_and_they_keep_apart() -> None:
    pairs = 0
    for index in range(40):
        clip = make_clip(2, index, size=16, stereo=True)
        for kind in set(clip.classes.tolist()):
            twins = np.flatnonzero(clip.classes == kind)
            if len(twins) == 2:
                pairs += 1
                assert clip.sounding[twins].any(1).sum() <= 1
                places = clip.scene.positions(np.linspace(0, 5, 21))[twins]
                assert np.abs(places[0] - places[1]).min() > TWIN_GAP - 1e-6
    assert pairs > 8


def test_mono_is_the_sum_of_left_and_right_and_panning_follows_the_body() -> None:
    clip = make_clip(4, 0, size=16, stereo=True)
    mono = render_sound(clip.scene, clip.soundtrack)
    np.testing.assert_allclose(clip.audio.sum(0), mono[0], atol=1e-6)
    track = soundtrack_for(clip.scene, [int(clip.classes[0])], snr=80.0)
    left, right = np.square(clip.with_soundtrack(track).audio.astype(float)).sum(1) ** 0.5
    places = clip.scene.positions(np.linspace(0, 5, 201))[0]
    assert right / (left + right) == pytest.approx(float(places.mean()), abs=0.05)


def test_one_picture_under_eight_soundtracks() -> None:
    clips = ensemble(1, ClipSpec(size=64))
    assert [clip.id for clip in clips] == [f"ensemble_1_{name}" for name in CLASSES]
    for number, clip in enumerate(clips, start=1):
        assert clip.picture is clips[0].picture
        assert sorted(clip.classes) == list(range(1, 9))
        assert set(np.unique(clip.labels)) == {0, number}
        assert clip.heard.sum() == clip.heard[:, number - 1].sum() == 5
    four = ensemble(1, ClipSpec(size=64), classes=[2, 4, 6, 8])
    assert [int(clip.labels.max()) for clip in four] == [2, 4, 6, 8]


def test_truth_in_all_three_kinds() -> None:
    world = make_clip(0, 1, size=48)
    binary, semantic, instance = (world.to_clip(kind) for kind in ("binary", "semantic", "instance"))
    np.testing.assert_array_equal(binary.target.labels, semantic.target.labels > 0)
    assert instance.target.masks.any(0).equal(binary.target.labels.bool())
    assert instance.target.track_ids.tolist() == [k + 1 for k in np.flatnonzero(world.sounding.any(1))]
    for n, t in np.argwhere(world.sounding):
        assert (semantic.target.labels[t].numpy()[world.masks[n, t]] == world.classes[n]).all()
    assert binary.target.sounding.equal(torch.from_numpy(world.heard))
    assert binary.times.tolist() == [0, 1, 2, 3, 4] and binary.audio.shape == (1, 5 * SAMPLE_RATE)


def test_motion_is_continuous_in_time_and_equal_at_any_rate() -> None:
    clip = make_clip(0, 2, size=48)
    dense = render(clip.scene, [n / 16 for n in range(80)], (48, 48))
    np.testing.assert_array_equal(dense.frames[15::16], clip.frames)
    steps = np.abs(np.diff(dense.frames.astype(int), axis=0)).mean((1, 2, 3))
    assert steps.min() > 0 and steps.max() < 12


def test_silhouettes_differ_and_stay_within_reach() -> None:
    axis = np.linspace(-1.3, 1.3, 131, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    shapes = [shape(u, v) < 0 for shape in SILHOUETTES]
    assert all(not shape[np.hypot(u, v) > REACH].any() and shape.mean() > 0.08 for shape in shapes)
    pairs = [(a, b) for i, a in enumerate(shapes) for b in shapes[:i]]
    assert max((a & b).sum() / (a | b).sum() for a, b in pairs) < 0.87
    assert all(0 <= texture(u, v).min() < 0.1 and 0.9 < texture(u, v).max() <= 1 for texture in TEXTURES)


@pytest.mark.parametrize("kind", range(1, 9), ids=CLASSES)
def test_no_timbre_falls_silent_within_a_second(kind: int) -> None:
    for seed in range(6):
        wave = play(kind, np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE, np.random.default_rng(seed))
        parts = np.square(wave.reshape(8, -1)).mean(1)
        assert parts.min() > 0.02 and np.abs(wave).max() <= 12.01 and wave.dtype == np.float32


def test_colour_carries_no_class() -> None:
    bodies = [body for i in range(100) for body in draw(9, i, ClipSpec())[0].bodies]
    means = np.array([np.mean([b.colours for b in bodies if b.kind == k], axis=0) for k in range(1, 9)])
    assert means.std(0).max() < 0.15


@pytest.mark.parametrize("difficulty", list(DIFFICULTIES))
def test_short_and_long_clips_of_any_shape(difficulty: str) -> None:
    for frames, size in ((1, (20, 44)), (10, (44, 20))):
        clip = make_clip(0, 0, difficulty=difficulty, frames=frames, size=size)
        assert clip.frames.shape == (frames, *size, 3) and clip.audio.shape == (1, frames * SAMPLE_RATE)
        assert np.abs(clip.audio).max() <= 0.96


def test_sounding_means_half_of_the_span() -> None:
    source = Source(1, ((0.4, 1.6),), None)
    assert source.sounding(np.arange(3.0)).tolist() == [True, True, False]
    assert source.sounding(np.arange(0, 2, 0.25), 0.25).tolist() == [False, False, True, True, True, True, False, False]


def test_splits_share_no_clip_and_names_are_stable() -> None:
    parts = {split: SynthDataset(5, seed=3, split=split, size=16) for split in ("train", "val", "test")}
    assert len({name for part in parts.values() for name in part.ids}) == 15
    assert parts["val"][2].id == parts["val"].ids[2] == "synth_3_1000000002"
    assert not torch.equal(parts["train"][0].audio, parts["val"][0].audio)
    semantic = SynthDataset(2, task="semantic", size=16)
    assert semantic.task.classes == CLASSES and semantic.suite == "avsbench_semantic"


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'standard'"):
        make_clip(0, 0, difficulty="standart")
    with pytest.raises(ValueError, match="must be 0 or greater"):
        make_clip(-1, 0)
    with pytest.raises(ValueError, match="must be positive"):
        make_clip(0, 0, frames=0)
    for spec in (ClipSpec, VideoSpec, StillOptions):
        with pytest.raises(ValueError, match="8192 pixels"):
            spec(size=(10**30, 64))
    with pytest.raises(ValueError, match="1 to 86400 seconds"):
        VideoSpec(seconds=(1, 10**30))
    for kind in ("s4", "avs_1s7m", "vpo_ss", "aviseg"):
        with pytest.raises(ValueError, match="at most 1000000"):
            write(kind, tmp_path, 10**30, 0)
    with pytest.raises(ValueError, match="wanted 1 to 9"):
        ensemble(0, classes=[])
    with pytest.raises(ValueError, match="class id 9"):
        soundtrack_for(make_clip(0, 0, size=8).scene, [9])
    with pytest.raises(ValueError, match="unknown split"):
        SynthDataset(3, split="dev")
    with pytest.raises(IndexError):
        SynthDataset(3)[3]
