"""On sounding shapes: what is marked follows the sound, by parts that know the truth or see textures alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avseg.engine.evaluation.report import computed
from avseg.metrics import metrics_of
from avseg.models import load_model
from avseg.models.zeroshot.config import GateConfig
from avseg.models.zeroshot.model import ZeroShot
from avseg.synth import CLASSES, SynthClip, ensemble, make_clip
from avseg.synth.timbres import SAMPLE_RATE, play
from avseg.synth.world import SPLITS, TASKS, ClipSpec
from avseg.types import Batch, Clip, InstancePrediction
from zeroshot_parts import Linker, SegmentFinder, with_stages

CLIPS = 40


@cache
def held_out() -> list[SynthClip]:
    return [make_clip(11, SPLITS["test"] + k, ClipSpec(size=96)) for k in range(CLIPS)]


class TrueTags:
    """What is heard in each second of a clip, told by the sound of the second itself."""

    labels = CLASSES

    def __init__(self, clips: Sequence[SynthClip]) -> None:
        self.known: dict[bytes, np.ndarray] = {}
        for clip in clips:
            sound, heard = clip.audio.mean(0), clip.heard
            for second in range(len(heard)):
                self.known[sound[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE].tobytes()] = heard[second]

    def tags(self, windows: Tensor) -> Tensor:
        assert windows.shape[1] == SAMPLE_RATE
        return torch.stack([torch.from_numpy(self.known[window.numpy().tobytes()]).float() for window in windows])


def true_masks(clips: Sequence[SynthClip]) -> Callable[[Tensor], Mapping[int, list[Tensor]]]:
    """All bodies of a picture that is known, by class."""
    known: dict[bytes, tuple[SynthClip, int]] = {}
    for clip in clips:
        for t, frame in enumerate(clip.frames):
            known[np.ascontiguousarray(frame.transpose(2, 0, 1)).tobytes()] = (clip, t)

    def segment(frame: Tensor) -> dict[int, list[Tensor]]:
        clip, t = known[frame.contiguous().numpy().tobytes()]
        found: dict[int, list[Tensor]] = {}
        for body, kind in enumerate(clip.classes.tolist()):
            found.setdefault(kind, []).append(torch.from_numpy(clip.masks[body, t].copy()))
        return found

    return segment


def by_texture() -> Callable[[Tensor], Mapping[int, list[Tensor]]]:
    """Shapes in a picture by a network that never saw it: asked once for each class, by the timbre of the class."""
    model = load_model("demo")
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    voices = torch.from_numpy(np.stack([0.1 * play(k, times, np.random.default_rng(k)) for k in range(1, 9)]))

    @cache
    def of_bytes(data: bytes, shape: tuple[int, ...]) -> dict[int, list[Tensor]]:
        frame = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(shape)
        clips = [
            Clip(str(k), frame[None], torch.zeros(1, dtype=torch.float64), voice[None], SAMPLE_RATE)
            for k, voice in enumerate(voices.float())
        ]
        labels = [prediction.labels(0) for prediction in model.predict(Batch.collate(clips))]
        return {k + 1: [labels[k] == k + 1] for k in range(8)}

    return lambda frame: of_bytes(frame.contiguous().numpy().tobytes(), tuple(frame.shape))


def model_of(segment: Any, tags: Sequence[SynthClip], kind: str = "semantic", finder: Any = None) -> ZeroShot:
    finder = finder or SegmentFinder(segment, CLASSES)
    model = with_stages(TASKS[kind], TrueTags(tags), finder, Linker(segment), vocabulary=CLASSES)
    return ZeroShot(replace(model.config, audio=replace(model.config.audio, seconds=1.0, offset=0.0)), model.task).use(
        model.stages(torch.device("cpu"))
    )


def score(model: ZeroShot, clips: Sequence[Clip], suite: str, protocol: str) -> dict[str, float]:
    metrics = metrics_of(model.task, [suite], [protocol])
    for index, clip in enumerate(clips):
        (prediction,) = model.predict(Batch.collate([clip]))
        assert clip.target is not None
        for metric in metrics:
            metric.update(prediction, clip.target, index)
    return computed(metrics)


def clips_of(kind: Any) -> list[Clip]:
    return [clip.to_clip(kind) for clip in held_out()]


def j_sounding(model: ZeroShot, clips: Sequence[Clip]) -> float:
    return score(model, clips, "avsbench_object", "repaired")["J_sounding"]


def test_true_tags_and_true_masks_give_the_truth() -> None:
    segment = true_masks(held_out())
    assert j_sounding(model_of(segment, held_out(), "binary"), clips_of("binary")) >= 0.99


def test_tracks_of_true_parts_are_the_true_tracks() -> None:
    segment = true_masks(held_out())
    scores = score(model_of(segment, held_out(), "instance"), clips_of("instance"), "aviseg", "repaired")
    assert scores["FSLA"] >= 0.95


def test_textures_are_enough_and_the_biggest_shape_is_not() -> None:
    segment = by_texture()
    assert j_sounding(model_of(segment, held_out(), "binary"), clips_of("binary")) >= 0.85

    class Biggest(SegmentFinder):
        def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Any]]:
            found = super().find(frames, CLASSES)
            return [[replace(max(of, key=lambda f: int(f.mask.sum())), noun=0)] if of else [] for of in found]

    true = true_masks(held_out())
    biggest = model_of(true, held_out(), "binary", Biggest(true, CLASSES))
    assert j_sounding(biggest, clips_of("binary")) < 0.85


def test_another_sound_marks_other_things_and_silence_marks_nothing() -> None:
    segment, clips = true_masks(held_out()), clips_of("binary")
    swapped = [replace(clip, audio=clips[(k + 1) % CLIPS].audio) for k, clip in enumerate(clips)]
    model = model_of(segment, held_out(), "binary")
    assert j_sounding(model, swapped) < 0.35
    tracks = model_of(segment, held_out(), "instance")
    for clip in clips[:5]:
        (muted,) = tracks.predict(Batch.collate([replace(clip, audio=torch.zeros_like(clip.audio))]))
        assert isinstance(muted, InstancePrediction) and muted.masks == []


def test_one_picture_under_eight_sounds_has_eight_answers() -> None:
    clips = ensemble(5, ClipSpec(size=96))
    model = model_of(true_masks(clips), clips)
    answers = [model.predict(Batch.collate([clip.to_clip("semantic")]))[0].labels(0) for clip in clips]
    for kind, (answer, clip) in enumerate(zip(answers, clips, strict=True), start=1):
        assert answer.unique().tolist() == [0, kind]
        assert torch.equal(answer, torch.from_numpy(clip.labels[0]).long())


def test_a_thing_out_of_sight_marks_nothing() -> None:
    clips = ensemble(5, ClipSpec(size=96))
    picture, sound = ensemble(6, ClipSpec(size=96), classes=[1, 2]), clips[4]
    clip = replace(picture[0].to_clip("instance"), audio=torch.from_numpy(sound.audio))
    model = model_of(true_masks(picture), [sound], "instance")
    (prediction,) = model.predict(Batch.collate([clip]))
    assert prediction.masks == []


def test_hearing_takes_the_gate_of_the_config() -> None:
    """A model whose gate never opens marks nothing, so that the scores above come from the gate."""
    segment = true_masks(held_out())
    model = model_of(segment, held_out(), "binary")
    closed = ZeroShot(replace(model.config, gate=GateConfig(silence=0.0)), model.task)
    closed.use(model.stages(torch.device("cpu")))
    assert j_sounding(closed, clips_of("binary")[:5]) == 0.0
