"""Masks of COCO's files in every form become run lengths, and what is none is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from aviseg_folder import compressed, mask, polygon, uncompressed
from avseg.io.rle import decode, encode
from avseg.io.segmentation import from_segmentation, pixels

BOX = (3, 2, 11, 7)


@pytest.mark.parametrize("form", [polygon(BOX), compressed(BOX), uncompressed(BOX)])
def test_polygons_numbers_and_text_give_the_same_mask(form: Any) -> None:
    found = from_segmentation(form, (24, 32))
    assert found is not None and found == encode(mask(BOX))
    assert np.array_equal(decode(found), mask(BOX))


def test_polygons_are_drawn_as_pycocotools_draws_them() -> None:
    whole = [[1.3, 2.2, 20.7, 3.1, 15.5, 19.9, 4.2, 11.0], [18, 15, 30, 15, 25, 22]]
    corners = [*whole, [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7]]
    wanted = coco.merge(coco.frPyObjects(whole, 24, 32))
    found = from_segmentation(corners, (24, 32))
    assert found is not None and found["counts"] == wanted["counts"].decode()


@pytest.mark.parametrize("nothing", [None, [], {}, [[1, 2, 3, 4]], [[]], [[1, 2, 3, 4, 5, 6, 7]]])
def test_nothing_stays_nothing(nothing: Any) -> None:
    assert from_segmentation(nothing, (24, 32)) is None


def test_a_mask_without_a_pixel_is_still_a_mask() -> None:
    assert from_segmentation({"size": [3, 2], "counts": [6]}, (3, 2)) == encode(np.zeros((3, 2)))


def test_pixels_of_counts_are_those_of_the_picture() -> None:
    random = np.random.default_rng(0)
    sizes = [tuple(int(side) for side in random.integers(1, 90, 2)) for _ in range(60)]
    counts = [str(encode(random.random(size) < random.choice([0, 0.02, 0.5, 1]))["counts"]) for size in sizes]
    counts.append("PPTl0")  # the published text of 720 x 1280 zeros
    sizes.append((720, 1280))
    assert pixels(counts).tolist() == [height * width for height, width in sizes]
    assert [int(pixels([text])[0]) for text in counts] == pixels(counts).tolist()
    assert pixels([]).tolist() == []


@pytest.mark.parametrize("text", ["", "é0", "P", "PPTl0P", "z0", "ooooooooooo0", "0 0"])
def test_text_that_is_no_counts_has_no_pixels(text: str) -> None:
    assert pixels([text]).tolist() == [-1]
    assert pixels(["PPTl0", text, "33"]).tolist() == [921600, -1, 6]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("33", "a mask is a str"),
        ([["a"]], "not a polygon"),
        ([1, 2, 3, 4, 5, 6], "not a polygon"),
        ([[1, 2, [3], 4, 5, 6]], "not a polygon"),
        ([[0, 0, 1e9, 0, 1, 1]], "far outside of the picture of 3 x 2"),
        ([[0, 0, float("nan"), 0, 1, 1]], "far outside"),
        ({"size": [2, 3], "counts": "33"}, r"size \[2, 3\], wanted \[3, 2\]"),
        ({"counts": "33"}, "size None"),
        ({"size": [3, 2]}, "not run lengths of 3 x 2"),
        ({"size": [3, 2], "counts": "34"}, "not run lengths"),
        ({"size": [3, 2], "counts": [3, 2]}, "not run lengths"),
        ({"size": [3, 2], "counts": [7, -1]}, "not run lengths"),
        ({"size": [3, 2], "counts": [3.0, 3.0]}, "not run lengths"),
    ],
)
def test_what_is_no_mask_is_refused(entry: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        from_segmentation(entry, (3, 2))
