"""Boxes against areas counted by hand and pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from avseg.nn.boxes import boxes_of_masks, centred, corners, generalised_iou


def test_the_two_ways_to_write_a_box_are_one() -> None:
    boxes = torch.tensor([[0.5, 0.25, 0.5, 0.5], [2.0, 3.0, 2.0, 4.0]])
    assert torch.equal(corners(boxes), torch.tensor([[0.25, 0.0, 0.75, 0.5], [1.0, 1.0, 3.0, 5.0]]))
    assert torch.equal(centred(corners(boxes)), boxes)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7 - 2 / 9),  # 1 shared of 7; around both 9
        ((0, 0, 1, 1), (2, 0, 3, 1), 0 - 1 / 3),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16),
        ((0, 0, 1, 1), (0, 0, 0, 0), 0.0),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0.0),
        ((0, 0, 0, 0), (1, 1, 1, 1), -1.0),
    ],
)
def test_overlap_counted_by_hand(first: tuple[int, ...], second: tuple[int, ...], wanted: float) -> None:
    a, b = torch.tensor(first, dtype=torch.float32), torch.tensor(second, dtype=torch.float32)
    assert float(generalised_iou(a, b)) == pytest.approx(wanted, abs=1e-6)
    assert float(generalised_iou(b, a)) == pytest.approx(wanted, abs=1e-6)


def test_gradients_are_finite_also_of_boxes_without_area_and_in_half_precision() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.2, 0.2, 0.1, 0.1]], dtype=torch.float16, requires_grad=True)
    overlap = generalised_iou(corners(boxes)[:, None], corners(boxes.detach().flip(0)))
    assert overlap.dtype == torch.float32
    overlap.sum().backward()
    assert overlap.isfinite().all() and boxes.grad is not None and boxes.grad.isfinite().all()


def test_boxes_of_masks_hold_every_pixel_and_none_are_smaller() -> None:
    masks = torch.rand(3, 4, 6, 10, generator=torch.Generator().manual_seed(0)) > 0.93
    masks[0, 0] = False
    masks[0, 1] = True
    boxes = boxes_of_masks(masks)
    assert not boxes[0, 0].any()
    assert torch.equal(boxes[0, 1], torch.tensor([0.5, 0.5, 1.0, 1.0]))
    several = 0
    for mask, box in zip(masks.flatten(0, 1), corners(boxes).flatten(0, 1), strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        if len(rows):
            several += 1
            wanted = [columns.min() / 10, rows.min() / 6, (columns.max() + 1) / 10, (rows.max() + 1) / 6]
            assert torch.allclose(box, torch.stack(wanted), atol=1e-6)
    assert several > 8
