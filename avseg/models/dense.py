"""What dense families share: label maps of a batch, and logits at their size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32
from avseg.types import Batch, DenseTarget, Task


def dense_targets(batch: Batch) -> list[DenseTarget]:
    """The truth of every clip.

    Raises:
        ValueError: clips without a label map.
    """
    targets = [target for target in batch.targets or [] if isinstance(target, DenseTarget)]
    if len(targets) != len(batch):
        raise ValueError(f"losses want a label map for each of {len(batch)} clips, got {len(targets)}")
    return targets


def sized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits (N, C, h, w) at the size (H, W) of the labels."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(at_least_float32(logits), size, mode="bilinear", align_corners=False)


def sounding_classes(task: Task, of_data: int | None) -> int:
    """How many classes the loss of sounding classes tells apart: those of the task, or `of_data` where it has none.

    Raises:
        ValueError: a binary task without `of_data`.
    """
    count = len(task.classes) or of_data
    if not count:
        raise ValueError(
            "sounding_weight is on and the task is binary: give sounding_classes, the classes of the data set"
        )
    return count


def sounding_truth(targets: Sequence[DenseTarget], classes: int) -> Tensor:
    """(B, T, K) bool, which classes sound in which second.

    Raises:
        ValueError: clips of which this is not known, or not over `classes` classes.
    """
    known = [target.sounding for target in targets if target.sounding is not None]
    if len(known) != len(targets) or known[0].shape[-1] != classes:
        got = [None if t.sounding is None else t.sounding.shape[-1] for t in targets]
        raise ValueError(f"the sounding loss wants truth over {classes} classes for every clip, got {got}")
    return torch.stack(known)
