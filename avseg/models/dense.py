"""What dense families share: label maps of a batch, and logits at their size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32
from avseg.types import Batch, DensePrediction, DenseTarget, Prediction


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


def dense_predictions(logits: Tensor, batch: Batch) -> list[Prediction]:
    """The valid frames of every clip, (B, T, C, h, w) as float32 logits (T', C, h, w)."""
    whole = at_least_float32(logits.detach())
    return [
        DensePrediction(name, clip[valid], size)
        for name, clip, valid, size in zip(batch.ids, whole, batch.valid, batch.output_sizes, strict=True)
    ]


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
