"""Masks as run lengths, in the form of COCO."""

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
