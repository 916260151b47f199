"""Masks as run lengths in the COCO format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avseg.types import Rle


def encode(mask: Tensor | NDArray[np.generic]) -> Rle:
    """The run lengths of a mask (H, W); everything but zero is inside. `counts` is text, ready for JSON."""
    from pycocotools import mask as coco

    array = mask.cpu().numpy() if isinstance(mask, Tensor) else mask
    if array.ndim != 2:
        raise ValueError(f"a mask to encode has shape {array.shape}, wanted (H, W)")
    rle = coco.encode(np.asfortranarray(array != 0, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode(rle: Rle) -> NDArray[np.bool_]:
    """(H, W) bool of run lengths, whether their counts are text or bytes."""
    from pycocotools import mask as coco

    mask: NDArray[np.bool_] = coco.decode(rle).astype(bool)
    return mask


def area(rle: Rle) -> int:
    """Pixels inside."""
    from pycocotools import mask as coco

    return int(coco.area(rle))


def box(rle: Rle) -> tuple[int, int, int, int]:
    """Left, top, width, height in pixels of what is inside; zeros where nothing is."""
    from pycocotools import mask as coco

    left, top, width, height = (int(side) for side in coco.toBbox(rle).tolist())
    return left, top, width, height


def encode_part(part: NDArray[np.bool_], place: tuple[int, int], size: tuple[int, int]) -> Rle:
    """The run lengths of a mask that is empty outside of one part, which alone is looked at.

    Args:
        part: (columns, rows) bool, one column after the other, as runs go.
        place: row and column of the part's upper left corner.
        size: (H, W) of the whole mask.
    """
    from pycocotools import mask as coco

    height, width = size
    columns, rows = part.shape
    framed = np.zeros((columns, rows + 2), bool)
    framed[:, 1:-1] = part
    column, row = np.divmod(np.flatnonzero(framed[:, 1:] != framed[:, :-1]), rows + 1)
    edges = (place[1] + column) * height + place[0] + row  # where runs begin and end, in turn
    # A run that ends with its column, as the next column begins with one, goes on.
    edges = edges[(np.diff(edges, prepend=-1) != 0) & (np.diff(edges, append=-1) != 0)]
    counts = np.diff(edges, prepend=0, append=height * width)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    rle = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}
