"""The ground truth of a batch in the form for the query losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import on_host, sent
from avseg.models.dense import dense_targets
from avseg.nn.boxes import boxes_of_masks
from avseg.types import IGNORE, Batch

STRIDE = 4
"""Pixels of the picture from one pixel of a mask to the next."""
OFFSET = 2
"""Pixels of the picture before the first one that is sampled."""
NO_ID = -1
"""Where a clip has fewer targets than another: no pixel is labelled so."""


@dataclass(frozen=True, eq=False)
class QueryTruth:
    """B clips of T frames with up to J targets; nothing in it depends on frames that are not labelled."""

    labelled: Tensor
    """(B, T) bool: the frame exists, is annotated, and has pixels that are judged."""
    pixels: Tensor
    """(B, T, h, w) bool: pixels of labelled frames that are judged, so that their label is not 255."""
    classes: Tensor
    """(B, J) int64, 0..M - 1; 0 where there is no target."""
    present: Tensor
    """(B, J) bool, the targets that a clip has; the others are filled in, and empty."""
    masks: Tensor
    """(B, J, T, h, w) bool, empty on frames that are not labelled."""
    shown: Tensor
    """(B, J, T) bool: the target has a pixel in the frame, in labels of full size."""
    boxes: Tensor
    """(B, J, T, 4) centre x, centre y, width, height as shares of the picture, tight in labels of full size; zero where
    the target is not shown."""

    @property
    def sounding(self) -> Tensor:
        """(B, T) bool: some target is shown."""
        return self.shown.any(1)


def truth_of(batch: Batch, size: tuple[int, int], grid: tuple[int, int], classes: int | None) -> QueryTruth:
    """The truth of a batch.

    Binary tasks have one target a clip, all that sounds, also where nothing does; semantic ones have one for each class
    that a labelled frame shows. A clip without any labelled frame has none.

    Args:
        batch: with a `DenseTarget` for each clip.
        size: (H, W) of the pictures as the network saw them, which label maps span.
        grid: (h, w) of masks. They are labels at pixels 4 i + 2 of the picture, the nearest where labels have another
            size than it.
        classes: of the task; None: binary.

    Raises:
        ValueError: clips without a label map, or a label that the task does not have.
    """
    targets = dense_targets(batch)
    device = batch.valid.device
    # How many targets there are has to be known before anything is queued on a device.
    here = [_labelled(on_host(t.labels), k, classes) for t, k in zip(targets, on_host(batch.judged), strict=True)]
    labels = here
    if any(on_host(t.labels) is not t.labels for t in targets):
        labels = [_labelled(t.labels, k, classes) for t, k in zip(targets, batch.judged, strict=True)]
    found = [_ids(own, classes) for own in here]
    most = max(len(ids) for ids in found)
    ids_here = torch.stack([F.pad(ids, (0, most - len(ids)), value=NO_ID) for ids in found])  # (B, J)
    ids = sent(ids_here, device)
    shown = [masks.flatten(2).any(2) for masks in _masks(here, ids_here)]
    whole = _masks(labels, ids)
    sampled = torch.stack([_sampled(own, size, grid) for own in labels])  # (B, T, h, w)
    return QueryTruth(
        labelled=torch.stack([(own != IGNORE).flatten(1).any(1) for own in labels]),
        pixels=sampled != IGNORE,
        classes=(ids - 1).clamp(min=0),
        present=sent(ids_here != NO_ID, device),
        masks=sampled[:, None] == ids[:, :, None, None, None],
        shown=sent(torch.stack(shown), device),
        boxes=torch.stack([boxes_of_masks(masks) for masks in whole]),
    )


def _labelled(labels: Tensor, known: Tensor, classes: int | None) -> Tensor:
    """Labels (T, H, W) with all that is not known (T,) ignored, so that nothing that follows can see it."""
    labels = torch.where(known[:, None, None], labels, IGNORE)
    return torch.where(labels == IGNORE, labels, labels.clamp(max=1)) if classes is None else labels


def _masks(labels: Sequence[Tensor], ids: Tensor) -> list[Tensor]:
    """(J, T, H, W) of each clip."""
    return [own == each[:, None, None, None] for own, each in zip(labels, ids, strict=True)]


def _ids(labels: Tensor, classes: int | None) -> Tensor:
    """(J,) the labels that are targets of a clip (T, H, W)."""
    found: Tensor = torch.unique(labels)
    if classes is None:
        return labels.new_ones(int((found != IGNORE).any()))
    found = found[(found != 0) & (found != IGNORE)]
    if len(found) and not 0 < int(found.min()) <= int(found.max()) <= classes:
        raise ValueError(
            f"truth of class {int(found.min())} to {int(found.max())} for a task of classes 1 to {classes}; "
            "take the data set that belongs to the task"
        )
    return found


def _sampled(labels: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """(T, H, W) labels of a picture of `size` at the places of a grid (h, w) of masks."""
    for dim, (pixels, count) in enumerate(zip(size, grid, strict=True), 1):
        have = labels.shape[dim]
        places = (STRIDE * torch.arange(count, device=labels.device) + OFFSET + 0.5) * (have / pixels)
        labels = labels.index_select(dim, places.long().clamp(max=have - 1))
    return labels
