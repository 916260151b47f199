"""A world with a ninth class, which no model that ships has seen or heard: the heart with zigzags that croaks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avseg.data import ClipDataset, DataConfig
from avseg.datasets import DATASETS, DatasetSpec
from avseg.synth import CLASSES, picture, timbres
from avseg.synth.difficulty import get_difficulty
from avseg.synth.scene import generator, place_scene
from avseg.synth.shapes import SILHOUETTES, TEXTURES, Field
from avseg.synth.soundtrack import Soundtrack, Source, render_sound
from avseg.synth.timbres import TIMBRES, Wave
from avseg.synth.world import ClipSpec, realise
from avseg.types import Clip, DenseTarget, Task

NINTH = len(CLASSES) + 1
NAME = "heart"
TASK = Task("semantic", (*CLASSES, NAME))
SPEC = ClipSpec(frames=5, size=96)
NAMED = "ninth"
"""The name of the data set."""


def heart(u: Field, v: Field) -> Field:
    """A square on its corner with two discs on its upper sides."""
    square = (np.abs(u) + np.abs(v - np.float32(0.1)) - np.float32(0.74)) * np.float32(np.sqrt(0.5))
    lobe = np.hypot(np.abs(u) - np.float32(0.37), v + np.float32(0.27)) - np.float32(0.52)
    out: Field = np.minimum(lobe, square)
    return out


def zigzags(u: Field, v: Field) -> Field:
    fold = np.abs(np.mod(u * np.float32(2), 1) - np.float32(0.5))
    out: Field = np.clip(np.float32(0.5) + np.float32(1.8) * np.sin(np.float32(14) * (v + fold)), 0, 1)
    return out


def croak(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    """A low tone whose harmonics are shut off and on some thirty times a second, and that falls again and again."""
    pitch, rate = rng.uniform(60, 90), rng.uniform(1.6, 2.6)
    place = np.mod(times * rate + rng.random(), 1.0)
    phase = 2 * np.pi * (pitch * times - 6 / rate * place**2)
    tone = np.sign(np.sin(phase)) * (np.sin(8 * phase) + 0.6 * np.sin(13 * phase))
    return (tone * (0.25 + 0.75 * np.sin(np.pi * place))).astype(np.float32)


@pytest.fixture
def ninth_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world draws and plays class id 9; the data set `ninth` is known by its name."""
    monkeypatch.setattr(picture, "SILHOUETTES", (*SILHOUETTES, heart))
    monkeypatch.setattr(picture, "TEXTURES", (*TEXTURES, zigzags))
    monkeypatch.setattr(timbres, "TIMBRES", (*TIMBRES, croak))
    monkeypatch.setattr(DATASETS, "_added", {NAMED: RECORD})


@dataclass(frozen=True)
class NinthConfig(DataConfig):
    """The options of `ninth`."""

    name: str = NAMED
    clips: int = 10
    """Clips of the training split; the others have twenty."""


class NinthWorld(ClipDataset):
    """Clips of five seconds with a heart and one or two others, of which now one sounds, now another, now none."""

    task = TASK

    def __init__(self, config: NinthConfig, split: str, root: Path | None = None) -> None:
        self.config = config
        self.first = {"train": 0, "val": 1000, "test": 2000}[split]
        self.ids = [f"{split}_{index:02d}" for index in range(config.clips if split == "train" else 20)]
        self._kept: dict[int, Clip] = {}

    def __getitem__(self, index: int) -> Clip:
        if index not in self._kept:
            self._kept[index] = self._made(index)
        return self._kept[index]

    def _made(self, index: int) -> Clip:
        rng = generator(77, self.first + index, 0)
        others = [int(kind) for kind in rng.permutation(len(CLASSES))[: int(rng.integers(1, 3))] + 1]
        scene = place_scene(rng, get_difficulty("standard"), [NINTH, *others], SPEC.frames)
        places = {body.kind: place for place, body in enumerate(scene.bodies)}
        turns = [NINTH, NINTH, NINTH, others[0], 0]
        order = rng.permutation(turns)
        sources = tuple(
            Source(kind, _runs(order == kind), places[kind], seed=int(rng.integers(2**31)))
            for kind in sorted({*turns} - {0})
        )
        made = realise(scene, Soundtrack(sources, 20.0, int(rng.integers(2**31))), self.ids[index], SPEC)
        clip = replace(made, soundtrack=Soundtrack((), 20.0)).to_clip("semantic")  # its tables know eight classes
        sounding = torch.zeros(SPEC.frames, NINTH, dtype=torch.bool)
        for second, kind in enumerate(order.tolist()):
            if kind:
                sounding[second, kind - 1] = True
        labels = torch.from_numpy(made.labels.astype(np.int64))
        audio = torch.from_numpy(render_sound(scene, made.soundtrack))
        target = DenseTarget(labels, torch.ones(SPEC.frames, dtype=torch.bool), sounding)
        return replace(clip, audio=audio, target=target)


def _runs(there: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """The runs of a row as times in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(int), [0]]))).reshape(-1, 2)
    return tuple((float(start), float(end)) for start, end in edges)


RECORD = DatasetSpec(
    NAMED, NinthConfig, "ninth_world:NinthWorld", "avsbench_object", "a world of nine classes", in_memory=True
)
