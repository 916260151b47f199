"""Masks as AVISeg's files hold them: polygons, or run lengths in either form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avseg.io.rle import decode
from avseg.types import Rle

Segmentation = Literal["polygon", "rle", "counts"]
Mask = NDArray[np.bool_]
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up: along the borders of pixels with the mask on the right hand."""


def segmentation_of(rle: Rle, form: Segmentation) -> Any:
    """Return the entry of a mask in the file.

    Args:
        rle: Its run lengths.
        form: `polygon` gives a list of flat x, y lists; `rle` compressed run lengths; `counts` plain ones.
    """
    if form == "rle":
        return dict(rle)
    mask = decode(rle)
    return outlines(mask) if form == "polygon" else {"size": list(mask.shape), "counts": _counts(mask)}


def box_of(mask: Mask) -> list[int]:
    """[x, y, w, h] of a mask (H, W) that is not empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def _counts(mask: Mask) -> list[int]:
    """Lengths of the runs down the columns, the first one outside."""
    flat = mask.flatten(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *counts] if flat[0] else counts


def outlines(mask: Mask) -> list[list[int]]:
    """Polygons [x, y, x, y, ...] along the borders of pixels whose union is the mask; none of them has a hole."""
    left, top, width, height = box_of(mask)
    inside = mask[top : top + height, left : left + width]
    return [[int(value) for x, y in _trace(part) for value in (x + left, y + top)] for part in _without_holes(inside)]


def _without_holes(mask: Mask) -> Iterator[Mask]:
    """Connected parts (by sides); one that has a hole is cut through it, from top to bottom."""
    from scipy.ndimage import binary_fill_holes, label

    labels, count = label(mask)
    for number in range(1, count + 1):
        part = labels == number
        # Background that reaches the outside through a corner is no hole: the outline passes that corner twice.
        hole = binary_fill_holes(part, np.ones((3, 3))) & ~part
        if not hole.any():
            yield part
            continue
        columns = np.flatnonzero(hole.any(0))
        cut = int(columns[len(columns) // 2])
        for side in (slice(None, cut), slice(cut, None)):
            half = np.zeros_like(part)
            half[:, side] = part[:, side]
            if half.any():
                yield from _without_holes(half)


def _trace(part: Mask) -> list[tuple[int, int]]:
    """The corners of the outline of one part without holes, clockwise."""
    padded = np.pad(part, 1)
    row = 0 if part[0].any() else int(np.flatnonzero(part.any(1))[0])
    x, y = int(np.flatnonzero(part[row])[0]), row
    start, heading, corners = (x, y), 0, [(x, y)]
    while True:
        dx, dy = _STEPS[heading]
        x, y = x + dx, y + dy
        if (x, y) == start:
            return corners
        # The four pixels around a corner; those ahead decide where the border goes.
        ahead_right, ahead_left = _ahead(padded, x, y, heading)
        turn = 1 if not ahead_right else (-1 if ahead_left else 0)
        if turn:
            corners.append((x, y))
            heading = (heading + turn) % 4


def _ahead(padded: Mask, x: int, y: int, heading: int) -> tuple[bool, bool]:
    """Whether the pixels ahead on the right and on the left of the border belong to the part."""
    # Offsets into the padded mask, in which pixel (row, column) is at (row + 1, column + 1).
    right = ((1, 1), (1, 0), (0, 0), (0, 1))[heading]
    left = ((0, 1), (1, 1), (1, 0), (0, 0))[heading]
    return bool(padded[y + right[0], x + right[1]]), bool(padded[y + left[0], x + left[1]])
