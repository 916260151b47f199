"""Models and clips that a test can afford."""

from __future__ import annotations

from typing import Any

import torch

from avseg.config import Temporal
from avseg.models.tpavi.model import TPAVI
from avseg.types import Batch, Clip, DenseTarget, Task
from small import small

BINARY = Task("binary")
SEMANTIC = Task("semantic", ("dog", "guitar"))


def small_model(task: Task = BINARY, **changes: Any) -> TPAVI:
    """A seeded model whose attention does something."""
    if "group" in changes:
        changes.setdefault("temporal", Temporal("block", changes["group"]))
    model = small("tpavi", task, **changes)
    assert isinstance(model, TPAVI)
    for block in model.network.attention.values():
        torch.nn.init.ones_(block.batch_norm.weight)  # type: ignore[union-attr,arg-type]
    return model


def clip(frames: int = 5, seed: int = 0, size: int = 64, annotated: int | None = None, classes: int = 1) -> Clip:
    """Noise with a label map and sounding truth over `classes` classes."""
    g = torch.Generator().manual_seed(seed)
    known = torch.arange(frames) < (frames if annotated is None else annotated)
    labels = torch.randint(0, classes + 1, (frames, size, size), generator=g)
    return Clip(
        id=f"clip{seed}",
        frames=torch.randint(0, 256, (frames, 3, size, size), generator=g, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.rand(1, 16000 * (frames + 1), generator=g) * 0.2 - 0.1,
        sample_rate=16000,
        target=DenseTarget(labels, known, torch.rand(frames, classes, generator=g) > 0.5),
    )


def batch(*clips: Clip, frames: int | None = None) -> Batch:
    return Batch.collate(clips, frames)
