"""Outlines of masks give every pixel back, and go round what they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from scipy import ndimage

from avseg.io.polygons import area_of, polygons, rasterise

Mask = NDArray[np.bool_]
EIGHT = np.ones((3, 3))


def random_masks(count: int) -> list[Mask]:
    """Of 1 x 1 to 12 x 12 pixels, from empty to full."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 13, (count, 2))
    return [generator.random(size) < share for size, share in zip(sizes, generator.random(count), strict=True)]


def check(mask: Mask) -> list[Any]:
    rings = polygons(mask)
    assert (rasterise(rings, mask.shape) == mask).all()  # type: ignore[arg-type]
    assert sum(map(area_of, rings)) == mask.sum()
    for ring in rings:
        steps = np.roll(ring, -1, 0) - ring
        assert ((steps != 0).sum(1) == 1).all()  # along one axis at a time
        assert ((steps[:, 0] != 0) != (np.roll(steps, 1, 0)[:, 0] != 0)).all()  # turning at every corner
        assert ring[0].tolist() == min(ring.tolist(), key=lambda corner: (corner[1], corner[0]))
    return rings


def test_masks_come_back_and_every_part_and_every_hole_has_one_ring() -> None:
    for mask in random_masks(1000):
        rings = check(mask)
        parts = ndimage.label(mask)[1]
        holes = ndimage.label(np.pad(~mask, 1, constant_values=True), EIGHT)[1] - 1
        assert [sum(area_of(ring) > 0 for ring in rings), sum(area_of(ring) < 0 for ring in rings)] == [parts, holes]


def test_a_square_a_hole_and_a_pixel_in_it() -> None:
    mask = np.zeros((7, 8), bool)
    mask[1:6, 2:7] = True
    mask[2:5, 3:6] = False
    mask[3, 4] = True
    assert [ring.tolist() for ring in check(mask)] == [
        [[2, 1], [7, 1], [7, 6], [2, 6]],
        [[3, 2], [3, 5], [6, 5], [6, 2]],
        [[4, 3], [5, 3], [5, 4], [4, 4]],
    ]


@pytest.mark.parametrize("other", [False, True])
def test_pixels_that_touch_at_a_corner_are_apart(other: bool) -> None:
    mask = np.eye(3, dtype=bool)[:, ::-1] if other else np.eye(3, dtype=bool)
    assert [len(ring) for ring in check(mask)] == [4, 4, 4]


def test_borders_combs_chequers_and_nothing() -> None:
    assert polygons(np.zeros((3, 4))) == [] and polygons(np.zeros((0, 4))) == []
    assert polygons(np.ones((3, 4)))[0].tolist() == [[0, 0], [4, 0], [4, 3], [0, 3]]
    comb = np.ones((9, 41), bool)
    comb[1:, 1::2] = False
    assert [len(ring) for ring in check(comb)] == [4 + 4 * 20]
    chequers = np.indices((9, 9)).sum(0) % 2 == 0
    assert len(check(chequers)) == 41
    assert not rasterise([], (2, 3)).any() and rasterise([], (2, 3)).shape == (2, 3)


def test_numbers_of_any_kind_are_masks() -> None:
    assert polygons(np.array([[0, 7], [0, 7]], np.uint8))[0].tolist() == [[1, 0], [2, 0], [2, 2], [1, 2]]
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\), wanted \(H, W\)"):
        polygons(np.ones((2, 2, 2)))


def test_a_picture_of_720_lines_comes_back() -> None:
    noise = np.random.default_rng(1).random((720, 1280))
    assert len(check(ndimage.gaussian_filter(noise, 6) > 0.5)) > 100


def inside_by_hand(corners: list[list[float]], x: float, y: float) -> bool:
    count = 0
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y0 <= y) != (y1 <= y):
            count += x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x
    return count % 2 == 1


def test_polygons_between_pixels_and_beyond_the_picture_hold_the_middles_inside_them() -> None:
    generator = np.random.default_rng(2)
    for _ in range(100):
        ring = generator.uniform(-4, 14, (int(generator.integers(3, 8)), 2))
        wanted = [[inside_by_hand(ring.tolist(), c + 0.5, r + 0.5) for c in range(11)] for r in range(9)]
        assert rasterise([ring], (9, 11)).tolist() == wanted


def test_what_is_no_ring_is_refused() -> None:
    for ring in ([1.0, 2.0, 3.0, 4.0], [[0.0, 1.0], [np.nan, 2.0], [3.0, 3.0]]):
        with pytest.raises(ValueError, match=r"wanted \(M, 2\) finite numbers"):
            rasterise([ring], (4, 4))


def test_pycocotools_gives_each_outer_ring_back_and_pillow_paints_the_outline_too() -> None:
    for mask in random_masks(300):
        height, width = mask.shape
        for ring in polygons(mask):
            if area_of(ring) < 0:
                continue
            filled = rasterise([ring], (height, width))
            read = coco.decode(coco.frPyObjects([ring.ravel().astype(float).tolist()], height, width))[..., 0]
            assert (read == filled).all()
            image = Image.new("1", (width + 1, height + 1))
            ImageDraw.Draw(image).polygon([tuple(corner) for corner in ring.tolist()], fill=1)
            painted = np.asarray(image)
            assert painted.sum() > filled.sum() and painted[:-1, :-1][filled].all()
