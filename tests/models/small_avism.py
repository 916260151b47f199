"""AVISM small enough for a test, and clips of noise with instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from avseg.models.avism.config import AVISMConfig, AVISMOptions
from avseg.models.avism.model import AVISM
from avseg.types import Clip, InstanceTarget, Task
from small import DEAF, small, small_config

ALL = AVISMOptions(score=0.0)
"""Tracks of any score."""
INSTANCES = Task("instance", ("dog", "guitar", "cello"))

AVISM_CONFIG: AVISMConfig = small_config("avism", **DEAF)


def small_avism(options: AVISMOptions = ALL, **changes: Any) -> AVISM:
    """A seeded model in evaluation mode; `changes` are of its config."""
    model = small("avism", INSTANCES, **{**DEAF, **changes})
    assert isinstance(model, AVISM)
    model.options = options
    return model


def noise(frames: int = 4, seed: int = 0, size: tuple[int, int] = (64, 64), width: int = 8) -> Clip:
    """A clip without truth that brings vectors of sound."""
    g = torch.Generator().manual_seed(seed)
    return Clip(
        id=f"clip{seed}",
        frames=torch.randint(0, 256, (frames, 3, *size), generator=g, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.rand(1, 16000 * frames, generator=g) * 0.2 - 0.1,
        sample_rate=16000,
        audio_features=torch.rand(frames, width, generator=g),
    )


def boxes(*tracks: list[tuple[int, int, int, int] | None], size: tuple[int, int] = (64, 64)) -> Tensor:
    """(N, T, H, W) masks of boxes (top, left, beyond bottom, beyond right); None: silent."""
    masks = torch.zeros(len(tracks), max(map(len, tracks), default=0), *size, dtype=torch.bool)
    for n, track in enumerate(tracks):
        for t, box in enumerate(track):
            if box is not None:
                masks[n, t, box[0] : box[2], box[1] : box[3]] = True
    return masks


def told(clip: Clip, masks: Tensor, classes: list[int], annotated: list[bool] | None = None) -> Clip:
    """The clip with this truth."""
    known = torch.tensor(annotated or [True] * len(clip.frames))
    target = InstanceTarget(masks, torch.tensor(classes, dtype=torch.int64), torch.arange(len(classes)), known)
    return replace(clip, target=target)


def two_clips() -> list[Clip]:
    """Two sizes, two lengths and a frame without truth: a box that moves and falls silent beside another; then one."""
    first = told(
        noise(4),
        boxes(
            [(4, 8, 30, 40), (6, 8, 32, 40), None, (10, 8, 36, 40)],
            [None, (40, 40, 60, 60), (40, 38, 60, 58), (40, 36, 60, 56)],
        ),
        [1, 3],
        [True, True, True, False],
    )
    size = (40, 56)
    one = boxes([(3, 5, 20, 50), None, (9, 5, 33, 50)], size=size)
    return [first, told(noise(3, seed=1, size=size), one, [2])]
