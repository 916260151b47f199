"""What a finder returns of a detector's boxes."""

from __future__ import annotations

import pytest
import torch

from avseg.models.zeroshot.hub.objects import corners, objects

SIZE = (64, 96)


def test_boxes_are_clipped_and_those_with_less_than_half_inside_are_dropped() -> None:
    boxes = torch.tensor(
        [
            [0.0, 0.0, 96.0, 96.0],  # the whole square in which the picture lies: two thirds are picture
            [10.0, 40.0, 50.0, 90.0],  # 24 of 50 rows
            [10.0, 40.0, 50.0, 88.0],  # 24 of 48 rows
            [10.0, 65.0, 50.0, 90.0],  # below
            [-4.0, -2.0, 10.0, 10.0],
            [90.0, 10.0, 140.0, 20.0],  # 6 of 50 columns
            [20.0, 30.0, 20.0, 40.0],  # no width
        ]
    )
    found = objects(torch.linspace(0.9, 0.3, 7), torch.arange(7), boxes, SIZE)
    assert [one.noun for one in found] == [0, 2, 4]
    assert [one.box for one in found] == [(0, 0, 96, 64), (10, 40, 50, 64), (0, 0, 10, 10)]


def test_the_best_come_first_and_of_equals_the_earlier() -> None:
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).expand(4, 4)
    found = objects(torch.tensor([0.3, 0.7, 0.3, 0.9]), torch.tensor([0, 1, 2, 3]), boxes, SIZE)
    assert [one.noun for one in found] == [3, 1, 0, 2]
    assert [one.score for one in found] == pytest.approx([0.9, 0.7, 0.3, 0.3])


def test_masks_stay_with_their_objects_and_one_without_a_pixel_is_dropped() -> None:
    masks = torch.zeros(3, *SIZE, dtype=torch.bool)
    masks[0, 3, 4] = masks[2, 5, 6] = True
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).expand(3, 4)
    found = objects(torch.tensor([0.3, 0.8, 0.7]), torch.zeros(3, dtype=torch.long), boxes, SIZE, masks)
    assert [one.mask.nonzero().tolist() for one in found if one.mask is not None] == [[[5, 6]], [[3, 4]]]
    assert len(found) == 2


def test_corners_are_centres_less_and_plus_half_a_size() -> None:
    assert corners(torch.tensor([[0.5, 0.25, 0.5, 0.25]])).tolist() == [[0.25, 0.125, 0.75, 0.375]]
