"""Masks as run lengths."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from avseg.io.rle import area, decode, encode


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
