"""From what a detector puts out to the objects that a finder returns."""

from __future__ import annotations

import torch
from torch import Tensor

from avseg.models.zeroshot.parts import Found

KEPT = 0.5
"""A box with less of its area than this inside the picture is dropped."""


def objects(
    scores: Tensor, nouns: Tensor, boxes: Tensor, size: tuple[int, int], masks: Tensor | None = None
) -> list[Found]:
    """The objects of one picture, boxes clipped to it, best first.

    Args:
        scores: (Q,), 0 to 1.
        nouns: (Q,) places among the nouns.
        boxes: (Q, 4) left, top, right, bottom in pixels; may leave the picture.
        size: (H, W) of the picture.
        masks: (Q, H, W) bool; an object without a pixel is dropped.
    """
    boxes = boxes.float().cpu()
    high, wide = size
    inside = boxes.clamp(min=0).minimum(torch.tensor([wide, high, wide, high]))
    area = _area(inside)
    keep = (area > 0) & (area >= KEPT * _area(boxes))
    if masks is not None:
        masks = masks.cpu()
        keep &= masks.flatten(1).any(1)
    rows = zip(scores.tolist(), nouns.tolist(), inside.tolist(), keep.tolist(), strict=True)
    found = [
        Found(noun, score, (box[0], box[1], box[2], box[3]), None if masks is None else masks[row])
        for row, (score, noun, box, kept) in enumerate(rows)
        if kept
    ]
    return best_first(found)


def best_first(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda one: -one.score)


def corners(boxes: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom of centre x, centre y, width, height."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
