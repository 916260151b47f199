"""Masks as run lengths."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from avseg.io.rle import area, box, decode, encode, encode_part


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (13, 8)])
@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_a_mask_comes_back(size: tuple[int, int], density: float) -> None:
    mask = torch.rand(size, generator=torch.Generator().manual_seed(0)) < density
    rle = json.loads(json.dumps(encode(mask)))
    assert rle["size"] == list(size) and area(rle) == int(mask.sum())
    assert np.array_equal(decode(rle), mask.numpy())
    assert np.array_equal(decode({"size": rle["size"], "counts": rle["counts"].encode()}), mask.numpy())


def test_counts_run_down_the_columns() -> None:
    mask = np.zeros((3, 2), bool)
    mask[:, 1] = True
    assert np.array_equal(decode({"size": [3, 2], "counts": encode(mask)["counts"]}), mask)
    assert encode(mask)["counts"] == "33"


def test_a_stack_of_masks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        encode(np.zeros((2, 3, 4), bool))


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_a_part_gives_the_run_lengths_of_the_whole(density: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width = (int(side) for side in rng.integers(1, 9, 2))
        top, left = int(rng.integers(0, height)), int(rng.integers(0, width))
        mask = np.zeros((height, width), bool)
        inside = (slice(top, int(rng.integers(top, height)) + 1), slice(left, int(rng.integers(left, width)) + 1))
        mask[inside] = rng.random(mask[inside].shape) < density
        assert encode_part(mask[inside].T, (top, left), (height, width)) == encode(mask)


def test_the_box_holds_all_that_is_inside() -> None:
    mask = np.zeros((9, 12), bool)
    assert box(encode(mask)) == (0, 0, 0, 0)
    mask[2:5, 3] = mask[4, 3:8] = True
    assert box(encode(mask)) == (3, 2, 5, 3)
    mask[:, 6:8] = True
    assert box(encode(mask)) == (3, 0, 5, 9)
