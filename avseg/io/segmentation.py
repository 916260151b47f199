"""Masks in every form that COCO's files hold (polygons, run lengths as numbers or text) to run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avseg.types import Rle

_LONGEST = 7
"""Characters of a number in compressed counts: 35 bits."""


def from_segmentation(entry: Any, size: tuple[int, int]) -> Rle | None:
    """The run lengths of a mask in any form that COCO knows. No picture is made on the way.

    Args:
        entry: Polygons [[x, y, x, y, ...], ...], run lengths whose counts are a list of numbers or compressed text, or
            None.
        size: (H, W) of the picture.

    Returns:
        The union of the polygons, without those of an odd length or of fewer than three points (as published); None
        where nothing is left, or there was nothing.

    Raises:
        ValueError: none of these forms, another size, counts that do not fill it, or corners far outside of it.
    """
    if not entry:
        return None
    if isinstance(entry, dict):
        return _from_counts(entry, size)
    if not isinstance(entry, list):
        raise ValueError(f"a mask is a {type(entry).__name__}, wanted polygons, run lengths or null")
    polygons = [_polygon(polygon, size) for polygon in entry]
    whole = [polygon for polygon in polygons if len(polygon) >= 6 and len(polygon) % 2 == 0]
    if not whole:
        return None
    from pycocotools import mask as coco

    return _text(coco.merge(coco.frPyObjects(whole, *size)))


def pixels(counts: Sequence[str]) -> NDArray[np.int64]:
    """(N,) pixels inside and outside of masks with compressed counts: H * W of each that is whole, -1 of no such text.

    The counts are differences to the last but one, so their sum is a weighted sum of what the text holds.
    """
    if not all(text and text.isascii() for text in counts):
        return np.array([pixels([text])[0] if text and text.isascii() else -1 for text in counts], np.int64)
    if not counts:
        return np.zeros(0, np.int64)
    ends = np.cumsum([len(text) for text in counts])
    digits = np.frombuffer("".join(counts).encode("ascii"), np.uint8) - np.uint8(48)  # six bits a character
    last = (digits & 32) == 0  # of a number
    wrong = np.add.reduceat(digits > 63, [0, *ends[:-1]]) + ~last[ends - 1]
    last[ends - 1] = True
    tail = np.flatnonzero(last).astype(np.int32)  # (numbers,) the last character of each
    head = np.concatenate([np.zeros(1, np.int32), tail[:-1] + 1])
    length = tail - head + 1
    values = (digits[head] & 31).astype(np.int64)
    for place in range(1, min(int(length.max()), _LONGEST)):
        long = np.flatnonzero(length > place)
        values[long] += (digits[head[long] + place] & 31).astype(np.int64) << (5 * place)
    values -= np.where((digits[tail] & 16) > 0, np.int64(1) << (5 * np.minimum(length, _LONGEST)), 0)
    after = np.searchsorted(tail, ends)  # (N,) the number after the last of each mask
    begin = np.concatenate([[0], after[:-1]])
    weights = (np.repeat(after, after - begin) - np.arange(len(values)) + 1) // 2
    weights[begin] = 1
    total: NDArray[np.int64] = np.add.reduceat(values * weights, begin)
    wrong += np.add.reduceat(length > _LONGEST, begin)
    return np.where(wrong > 0, -1, total)


def _polygon(points: Any, size: tuple[int, int]) -> list[float]:
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        array = np.zeros((0, 0))
    if array.ndim != 1:
        raise ValueError("a mask has an entry that is not a polygon; wanted lists of numbers x, y, x, y, ...")
    if array.size and not np.abs(array).max() <= 10 * max(size):  # NaN is none either
        raise ValueError(f"a polygon has corners far outside of the picture of {size[0]} x {size[1]} pixels")
    polygon: list[float] = array.tolist()
    return polygon


def _from_counts(entry: dict[str, Any], size: tuple[int, int]) -> Rle:
    stated, counts = entry.get("size"), entry.get("counts")
    if not isinstance(stated, list) or tuple(stated) != tuple(size):
        raise ValueError(f"a mask has the size {stated}, wanted {list(size)} (height, width)")
    if isinstance(counts, list):
        whole = all(isinstance(count, int) and count >= 0 for count in counts) and sum(counts) == size[0] * size[1]
    else:
        whole = isinstance(counts, str) and pixels([counts])[0] == size[0] * size[1]
    if not whole:
        raise ValueError(f"the counts of a mask are not run lengths of {size[0]} x {size[1]} pixels")
    if isinstance(counts, str):
        return {"size": list(stated), "counts": counts}
    from pycocotools import mask as coco

    return _text(coco.frPyObjects(entry, *size))


def _text(rle: Any) -> Rle:
    """Run lengths as pycocotools gives them, with text for bytes."""
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}
