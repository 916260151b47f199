"""Boxes: two ways to write them, how far they overlap, and the boxes of masks.

A box is (centre x, centre y, width, height) or its corners (left, top, right, bottom); both count in shares of the
picture's width and height, or in any one unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-7
"""Areas below it do not divide anything: boxes without area have an overlap of zero, not of zero over zero."""


def corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, width, height -> (..., 4) left, top, right, bottom."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def centred(boxes: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> (..., 4) centre x, centre y, width, height."""
    first, last = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(first + last) / 2, last - first], -1)


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union, less the share of the smallest box around both that neither fills (Rezatofighi et al.
    2019): 1 for equal boxes, towards -1 the farther they are apart.

    Args:
        first: (..., 4) left, top, right, bottom.
        second: broadcasts with it.

    Returns:
        (...), float32 or finer; 0 less that share where both boxes have no area.
    """
    precise = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    first, second = first.to(precise), second.to(precise)
    shared = _area(torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:]))
    union = _area(first[..., :2], first[..., 2:]) + _area(second[..., :2], second[..., 2:]) - shared
    around = _area(torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:]))
    return shared / union.clamp(min=TINY) - (around - union) / around.clamp(min=TINY)


def boxes_of_masks(masks: Tensor) -> Tensor:
    """The tightest box around each mask, from the outer edges of its outermost pixels.

    Args:
        masks: (..., H, W) bool.

    Returns:
        (..., 4) float32 centre x, centre y, width, height as shares of the picture; zeros where a mask is empty.
    """
    left, right = _ends(masks.any(-2))
    top, bottom = _ends(masks.any(-1))
    return centred(torch.stack([left, top, right, bottom], -1))


def _area(first: Tensor, last: Tensor) -> Tensor:
    width, height = (last - first).clamp(min=0).unbind(-1)
    return width * height


def _ends(there: Tensor) -> tuple[Tensor, Tensor]:
    """(..., L) bool -> where the first true one begins and the last one ends, as shares of L; 0 and 0 of none."""
    length = there.shape[-1]
    steps = torch.arange(length, device=there.device)
    first = torch.where(there, steps, length).amin(-1)
    last = torch.where(there, steps + 1, 0).amax(-1)
    return torch.minimum(first, last) / length, last / length
