"""QDFormer small enough for a test, and clips of noise with label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from avseg.models.qdformer.model import QDFormer
from avseg.types import Clip, DenseTarget, Task
from small import DEAF, small

BINARY = Task("binary")
SEMANTIC = Task("semantic", ("dog", "guitar", "cello"))


def told_clip(
    labels: Tensor, annotated: Sequence[bool] | None = None, seed: int = 0, size: tuple[int, int] = (64, 64)
) -> Clip:
    """Noise of the length of `labels` (T, H, W), with sound and with vectors of it (T, 8)."""
    g, frames = torch.Generator().manual_seed(seed), len(labels)
    known = torch.tensor([True] * frames if annotated is None else list(annotated))
    clip = Clip(
        id=f"clip{seed}",
        frames=torch.randint(0, 256, (frames, 3, *size), generator=g, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.rand(1, 16000 * frames, generator=g) * 0.2 - 0.1,
        sample_rate=16000,
        audio_features=torch.rand(frames, 8, generator=g),
    )
    return replace(clip, target=DenseTarget(labels, known))


Box = tuple[int, int, int, int]


def painted(*frames: dict[int, Box], size: tuple[int, int] = (64, 64)) -> Tensor:
    """(T, H, W) labels: of each frame the boxes (top, left, beyond bottom, beyond right) by their label."""
    labels = torch.zeros(len(frames), *size, dtype=torch.int64)
    for t, boxes in enumerate(frames):
        for label, (top, left, bottom, right) in boxes.items():
            labels[t, top:bottom, left:right] = label
    return labels


def relabelled(clip: Clip, labels: Tensor) -> Clip:
    """The clip with other labels."""
    assert isinstance(clip.target, DenseTarget)
    return replace(clip, target=replace(clip.target, labels=labels))


def small_qdformer(task: Task = SEMANTIC, **changes: Any) -> QDFormer:
    """A seeded model in evaluation mode."""
    model = small("qdformer", task, **{**DEAF, **changes})
    assert isinstance(model, QDFormer)
    return model
