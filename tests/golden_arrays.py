"""The seeded arrays that golden numbers are of; a golden file stores the arguments of `arr`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState


def arr(kind: str, seed: int, shape: tuple[int, ...] | list[int], **options: Any) -> np.ndarray[Any, Any]:
    """An array of `shape` of one kind; draws come from NumPy's frozen `RandomState` stream.

    normal (scale, shift), uniform, int (low, high), mask (density p), blob (one rectangle of `value` per picture),
    classblob (n rectangles of random classes 1..high-1 per picture), full (value).
    """
    random, shape = RandomState(seed), tuple(shape)
    if kind == "normal":
        return (random.standard_normal(shape) * options.get("scale", 1.0) + options.get("shift", 0.0)).astype(
            np.float32
        )
    if kind == "uniform":
        return random.random_sample(shape).astype(np.float32)
    if kind == "int":
        return random.randint(options.get("low", 0), options["high"], size=shape).astype(np.int64)
    if kind == "mask":
        return (random.random_sample(shape) < options.get("p", 0.3)).astype(np.float32)
    if kind == "full":
        return np.full(shape, options["value"], dtype=options.get("dtype", "float32"))
    pictures = np.zeros(shape, np.float32 if kind == "blob" else np.int64)
    for picture in pictures.reshape(-1, *shape[-2:]):
        for _ in range(1 if kind == "blob" else options.get("n", 3)):
            place = _rectangle(random, *shape[-2:])
            picture[place] = options.get("value", 1.0) if kind == "blob" else random.randint(1, options["high"])
    return pictures


def _rectangle(random: RandomState, height: int, width: int) -> tuple[slice, slice]:
    top, left = random.randint(0, height // 2), random.randint(0, width // 2)
    tall, wide = random.randint(1, height // 2 + 1), random.randint(1, width // 2 + 1)
    return slice(top, top + tall), slice(left, left + wide)
