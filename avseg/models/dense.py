"""Shared parts of dense families: ground truth of a batch, logits at its size, and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import stacked
from avseg.losses.dense import at_least_float32
from avseg.models.base import Model
from avseg.types import Batch, DensePrediction, DenseTarget, Prediction


class WithLogits(Protocol):
    """The output of a dense network for a batch."""

    @property
    def logits(self) -> Tensor:
        """(B, T, C, h, w) before any activation; C = 1 for binary tasks."""


Output = TypeVar("Output", bound=WithLogits)


class DenseModel(Model[Output]):
    """A model whose prediction of a frame is a map of logits."""

    def postprocess(self, output: Output, batch: Batch) -> list[Prediction]:
        """The valid frames of every clip, as float32 logits."""
        whole = at_least_float32(output.logits.detach())
        return [
            DensePrediction(name, clip[valid], size)
            for name, clip, valid, size in zip(batch.ids, whole, batch.valid, batch.output_sizes, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class DenseTruth:
    """The label maps of a batch."""

    targets: list[DenseTarget]
    labels: Tensor
    """(B, T, H, W) int64."""
    annotated: Tensor
    """(B, T) bool, the frames that exist and have labels of their own."""

    @classmethod
    def of(cls, batch: Batch) -> DenseTruth:
        """
        Raises:
            ValueError: clips without a label map.
        """
        targets = dense_targets(batch)
        labels = stacked([target.labels for target in targets])
        return cls(targets, labels, annotated_frames(batch))

    def at_size(self, logits: Tensor) -> Tensor:
        """(B, T, C, h, w) at the size of the labels: (B, T, C, H, W)."""
        whole = sized(logits.flatten(0, 1), (self.labels.shape[-2], self.labels.shape[-1]))
        return torch.unflatten(whole, 0, logits.shape[:2])


def dense_targets(batch: Batch) -> list[DenseTarget]:
    """The truth of every clip.

    Raises:
        ValueError: clips without a label map.
    """
    targets = [target for target in batch.targets or [] if isinstance(target, DenseTarget)]
    if len(targets) != len(batch):
        raise ValueError(f"losses need a label map for each of {len(batch)} clips, got {len(targets)}")
    return targets


def annotated_frames(batch: Batch) -> Tensor:
    """(B, T) bool, the frames that exist and have labels of their own.

    Raises:
        ValueError: clips without a label map.
    """
    dense_targets(batch)
    return batch.judged


def sized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits (N, C, h, w) at the size (H, W) of the labels."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(at_least_float32(logits), size, mode="bilinear", align_corners=False)


def sounding_truth(targets: Sequence[DenseTarget], classes: int) -> Tensor:
    """(B, T, K) bool, which classes sound in which second.

    Raises:
        ValueError: clips of which this is not known, or not over `classes` classes.
    """
    known = [target.sounding for target in targets if target.sounding is not None]
    if len(known) != len(targets) or known[0].shape[-1] != classes:
        got = [None if t.sounding is None else t.sounding.shape[-1] for t in targets]
        raise ValueError(f"the sounding loss needs ground truth over {classes} classes for every clip, got {got}")
    return stacked(known)
