"""The ground truth of a batch in the form for the set losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import on_host, sent
from avseg.losses.points import MaskPoints
from avseg.types import Batch, InstanceTarget


@dataclass(frozen=True, eq=False)
class InstanceTruth:
    """B clips of T frames with up to N instances; padded masks are empty and take no part."""

    masks: Tensor
    """(B, T, N, H, W) bool, padded right and below."""
    labels: Tensor
    """(B, N) int64, 0..K - 1; K is "no object"."""
    present: Tensor
    """(B, T, N) bool: not empty, on a judged frame."""
    judged: Tensor
    """(B, T) bool: exists and is annotated."""
    of_masks: Tensor
    """(B, 2) float32 (x, y), what a point of a clip's own picture is multiplied by to be one of `masks`."""
    of_maps: Tensor
    """(B, 2) float32 (x, y), the same for the network's maps, which span the batch's largest picture."""

    @property
    def seen(self) -> Tensor:
        """(B, N) bool, instances that are present on some frame."""
        return self.present.any(1)

    @cached_property
    def wholly_judged(self) -> bool:
        """Whether every frame of every clip is judged."""
        return bool(on_host(self.judged).all())

    @cached_property
    def points(self) -> MaskPoints:
        """The masks, to be looked at by their places in `rows`."""
        return MaskPoints(self.masks.flatten(0, 2))

    def sounding(self, classes: int) -> Tensor:
        """(B, T, K) bool, the classes that are present on each frame."""
        kinds = F.one_hot(self.labels, classes + 1)[..., :classes]  # (B, N, K)
        return torch.einsum("btn,bnk->btk", self.present.float(), kinds.float()) > 0

    @cached_property
    def rows(self) -> Tensor:
        """(B, T, N) int64, places of the masks among all B * T * N."""
        return torch.arange(self.present.numel(), device=self.present.device).reshape(self.present.shape)


def truth_of(
    batch: Batch, sizes: Tensor, padded: tuple[int, int], classes: int, silent_first: bool = False
) -> InstanceTruth:
    """The truth of a batch.

    A clip's own picture is filled up to a multiple of 32, as if it were alone in the batch: points lie in that.

    Args:
        batch: with an `InstanceTarget` for each clip.
        sizes: (B, 2) int64 (H, W) of the pictures that the network saw.
        padded: (H, W) of all of them, filled up.
        classes: K.
        silent_first: repeat a published slip: instances that are not present on the first frame are "no object".

    Raises:
        ValueError: clips without masks, or of a class that the task does not have.
    """
    targets = instance_targets(batch)
    judged, device, sizes = batch.judged, sizes.device, on_host(sizes)
    count = max(len(target.masks) for target in targets)
    height = max(target.masks.shape[2] for target in targets)
    width = max(target.masks.shape[3] for target in targets)
    masks = torch.stack([_padded(t.masks, (count, height, width)) for t in targets]).transpose(1, 2)  # (B, T, N, H, W)
    labels = torch.stack([F.pad(on_host(t.classes), (0, count - len(t.classes)), value=1) for t in targets]) - 1
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"truth of class {int(labels.min()) + 1} to {int(labels.max()) + 1} for a task of classes 1 to {classes}; "
            "take the data set that belongs to the task"
        )
    labels = sent(labels, device)
    present = masks.flatten(3).any(3) & judged[..., None]
    if silent_first:
        labels = torch.where(present[:, 0], labels, classes)
    own = -(-sizes // 32) * 32  # (B, 2)
    sides = sizes.new_tensor([target.masks.shape[2:] for target in targets])
    return InstanceTruth(
        masks=masks.contiguous(),
        labels=labels,
        present=present,
        judged=judged,
        of_masks=sent((own / sizes * sides / sides.new_tensor([height, width])).float().flip(1), device),
        of_maps=sent((own / own.new_tensor(padded)).float().flip(1), device),
    )


def instance_targets(batch: Batch) -> Sequence[InstanceTarget]:
    """The truth of every clip.

    Raises:
        ValueError: clips without masks of instances.
    """
    targets = [target for target in batch.targets or [] if isinstance(target, InstanceTarget)]
    if len(targets) != len(batch):
        kinds = sorted({type(target).__name__ for target in batch.targets or []}) or ["none"]
        raise ValueError(
            f"losses need an InstanceTarget for each of {len(batch)} clips, got {', '.join(kinds)}; the masks of long "
            "clips are drawn with data.augment some_frames"
        )
    return targets


def _padded(masks: Tensor, wanted: tuple[int, int, int]) -> Tensor:
    """(N, T, H, W) -> (n, T, h, w), empty where there was nothing."""
    n, _, h, w = masks.shape
    if (n, h, w) == wanted:
        return masks
    return F.pad(masks, (0, wanted[2] - w, 0, wanted[1] - h, 0, 0, 0, wanted[0] - n))
