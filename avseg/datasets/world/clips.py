"""The synthetic world as a data set in memory; every clip is made on access."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Literal

import torch
from torch import Tensor

from avseg.config import did_you_mean
from avseg.data.base import ClipDataset
from avseg.datasets.world.config import WorldConfig
from avseg.synth.classes import CLASSES
from avseg.synth.soundtrack import render_sound, soundtrack_for
from avseg.synth.world import SPLITS, TASKS, ClipSpec, SynthClip, draw, make_clip
from avseg.types import Clip


class SynthDataset(ClipDataset):
    """`clips` clips of the world `seed`; names the suite whose metrics fit its task."""

    def __init__(
        self,
        clips: int,
        seed: int = 0,
        *,
        split: str = "train",
        task: Literal["binary", "semantic"] = "binary",
        spec: ClipSpec | None = None,
        **changes: object,
    ) -> None:
        """`changes` replace fields of `spec`: `SynthDataset(100, difficulty="easy", size=112, frames=5)`.

        Raises:
            ValueError: an unknown split, task or difficulty, or more clips than a split holds.
        """
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; {did_you_mean(split, SPLITS)}")
        if task not in ("binary", "semantic"):
            raise ValueError(f"task {task!r} is neither binary nor semantic")
        if not 0 < clips <= SPLITS["val"]:
            raise ValueError(f"got {clips} clips, wanted 1 to {SPLITS['val']}")
        self.spec = replace(spec or ClipSpec(), **changes)  # type: ignore[arg-type]
        self.seed, self.split, self.kind = seed, split, task
        self.task = TASKS[task]
        self.suite = "avsbench_object" if task == "binary" else "avsbench_semantic"
        self.config = WorldConfig(stereo=self.spec.stereo, kind=task)
        self.keep = False
        """Whether clips stay in memory once they are made."""
        self._kept: dict[int, Clip] = {}
        self.ids = [f"synth_{seed}_{SPLITS[split] + i:06d}" for i in range(clips)]

    def __getitem__(self, index: int) -> Clip:
        if index in self._kept:
            return self._kept[index]
        clip = self.world(index).to_clip(self.kind)
        if self.keep:
            self._kept[index] = clip
        return clip

    def unseen_sound(self, index: int, seed: int) -> Tensor:
        """(A, S) of a class that no body of the clip has; of noise alone where there is no such class."""
        scene, _ = draw(self.seed, SPLITS[self.split] + index, self.spec)
        drawn = Random(f"{seed}:{self.ids[index]}:unseen")
        absent = sorted(set(range(1, len(CLASSES) + 1)) - {body.kind for body in scene.bodies})
        kinds = [absent[drawn.getrandbits(63) % len(absent)]] if absent else []
        track = soundtrack_for(scene, kinds, seed=drawn.getrandbits(20))
        return torch.from_numpy(render_sound(scene, track, stereo=self.spec.stereo))

    def world(self, index: int) -> SynthClip:
        """Clip `index` with all that is known of it."""
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of a data set of {len(self)}")
        return make_clip(self.seed, SPLITS[self.split] + index, self.spec)
