"""Truth of a clip: label maps, masks of instances, or tracks as run lengths. `avseg.types` gives it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias, TypedDict

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import sent

IGNORE = 255
"""The class id of ignored pixels, which no metric counts."""


class Rle(TypedDict):
    """A run-length encoded mask in the form of COCO: `size` is (H, W)."""

    size: list[int]
    counts: str | bytes


def check_tensor(what: str, tensor: Tensor, shape: Sequence[int | str], dtype: torch.dtype | None = None) -> None:
    """One clear sentence when `tensor` is not of `shape` (names stand for any size) and `dtype`."""
    fits = tensor.ndim == len(shape) and all(
        isinstance(want, str) or got == want for got, want in zip(tensor.shape, shape, strict=False)
    )
    if not fits:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{what} has shape {tuple(tensor.shape)}, wanted ({wanted})")
    if dtype is not None and tensor.dtype != dtype:
        raise ValueError(f"{what} is {tensor.dtype}, wanted {dtype}")


@dataclass(frozen=True, eq=False)
class DenseTarget:
    """Ground truth of a clip for a binary or semantic task.

    Raises:
        ValueError: A tensor of another shape or type.

    Examples:
        >>> import torch
        >>> from avseg import DenseTarget
        >>> labels = torch.zeros(2, 64, 64, dtype=torch.int64)
        >>> target = DenseTarget(labels, torch.tensor([True, False]))  # only the first frame has labels
        >>> target.padded(5).labels.shape[0]
        5
    """

    labels: Tensor
    """(T, H, W) int64; 0 is background, 1..K are foreground classes, 255 is ignored."""
    annotated: Tensor
    """(T,) bool, the frames whose labels exist on disk."""
    sounding: Tensor | None = None
    """(T, K') bool, which classes of the data set sound; binary labels may have it too."""

    def __post_init__(self) -> None:
        check_tensor("target labels", self.labels, ("T", "H", "W"), torch.int64)
        check_tensor("target annotated", self.annotated, (self.labels.shape[0],), torch.bool)
        if self.sounding is not None:
            check_tensor("target sounding", self.sounding, (self.labels.shape[0], "K"), torch.bool)

    def take(self, frames: Tensor) -> DenseTarget:
        sounding = None if self.sounding is None else self.sounding[frames]
        return DenseTarget(self.labels[frames], self.annotated[frames], sounding)

    def padded(self, frames: int) -> DenseTarget:
        """Pad with unannotated background frames at the end to `frames` in total."""
        more = frames - self.labels.shape[0]
        sounding = None if self.sounding is None else padded_frames(self.sounding, more)
        return DenseTarget(padded_frames(self.labels, more), padded_frames(self.annotated, more), sounding)

    def to(self, device: torch.device | str) -> DenseTarget:
        sounding = None if self.sounding is None else sent(self.sounding, device)
        return DenseTarget(sent(self.labels, device), sent(self.annotated, device), sounding)


@dataclass(frozen=True, eq=False)
class InstanceTarget:
    """Ground truth of a clip of N tracked objects.

    Raises:
        ValueError: A tensor of another shape or type.

    Examples:
        >>> import torch
        >>> from avseg import InstanceTarget
        >>> masks, one = torch.zeros(1, 2, 8, 8, dtype=torch.bool), torch.ones(1, dtype=torch.int64)
        >>> InstanceTarget(masks, classes=one, track_ids=one, annotated=torch.ones(2, dtype=torch.bool)).masks.shape[0]
        1
    """

    masks: Tensor
    """(N, T, H, W) bool; a mask is empty in frames in which the object is silent or unseen."""
    classes: Tensor
    """(N,) int64, 1..K."""
    track_ids: Tensor
    """(N,) int64."""
    annotated: Tensor
    """(T,) bool, the frames with labels."""

    def __post_init__(self) -> None:
        check_tensor("target masks", self.masks, ("N", "T", "H", "W"), torch.bool)
        n, t = self.masks.shape[:2]
        check_tensor("target classes", self.classes, (n,), torch.int64)
        check_tensor("target track_ids", self.track_ids, (n,), torch.int64)
        check_tensor("target annotated", self.annotated, (t,), torch.bool)

    def take(self, frames: Tensor) -> InstanceTarget:
        return replace(self, masks=self.masks[:, frames], annotated=self.annotated[frames])

    def padded(self, frames: int) -> InstanceTarget:
        more = frames - self.annotated.shape[0]
        masks = padded_frames(self.masks.transpose(0, 1), more).transpose(0, 1)
        return replace(self, masks=masks, annotated=padded_frames(self.annotated, more))

    def to(self, device: torch.device | str) -> InstanceTarget:
        return InstanceTarget(*(sent(getattr(self, f.name), device) for f in fields(self)))


@dataclass(frozen=True, eq=False)
class TrackTarget:
    """Ground truth of a long clip of N tracked objects as run lengths, as data sets read it and metrics take it."""

    masks: list[list[Rle | None]]
    """N tracks of T entries, in the order of the file; None: silent or unseen."""
    classes: Tensor
    """(N,) int64, 1..K."""
    track_ids: Tensor
    """(N,) int64."""
    annotated: Tensor
    """(T,) bool."""
    size: tuple[int, int]
    """(H, W) of the masks."""
    areas: Tensor | None = None
    """(N, T) float64 pixels as the file has them, NaN where a mask is None; None: those of the masks."""

    def __post_init__(self) -> None:
        n, t = len(self.masks), self.annotated.shape[0]
        check_tensor("target classes", self.classes, (n,), torch.int64)
        check_tensor("target track_ids", self.track_ids, (n,), torch.int64)
        check_tensor("target annotated", self.annotated, ("T",), torch.bool)
        for track in self.masks:
            if len(track) != t:
                raise ValueError(f"a target track has {len(track)} masks, wanted one for each of {t} frames")
        if self.areas is not None:
            check_tensor("target areas", self.areas, (n, t), torch.float64)

    def take(self, frames: Tensor) -> TrackTarget:
        places = frames.tolist()
        masks = [[track[place] for place in places] for track in self.masks]
        areas = None if self.areas is None else self.areas[:, frames]
        return replace(self, masks=masks, annotated=self.annotated[frames], areas=areas)

    def padded(self, frames: int) -> TrackTarget:
        """Pad with unannotated silent frames at the end to `frames` in total."""
        more = frames - self.annotated.shape[0]
        areas = None if self.areas is None else F.pad(self.areas, (0, more), value=float("nan"))
        masks = [[*track, *[None] * more] for track in self.masks]
        return replace(self, masks=masks, annotated=padded_frames(self.annotated, more), areas=areas)

    def to(self, device: torch.device | str) -> TrackTarget:
        """Run lengths stay where they are, and so does all that goes with them."""
        return self


Target: TypeAlias = DenseTarget | InstanceTarget | TrackTarget


def padded_frames(tensor: Tensor, more: int) -> Tensor:
    return torch.cat([tensor, tensor.new_zeros(more, *tensor.shape[1:])]) if more > 0 else tensor
