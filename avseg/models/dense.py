"""What dense families share: label maps of a batch, and logits at their size."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32
from avseg.types import Batch, DenseTarget


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
