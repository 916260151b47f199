"""Seeded weights of published networks: every tensor depends on its name, shape and kind alone
(docs/explanation/golden.md)."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor


def seeded_weight(name: str, shape: Sequence[int], kind: str, seed: int = 0) -> Tensor:
    """With N standard normal and U uniform numbers of `RandomState(crc32(name) ^ seed)`; float32, counters int64.

    var 0.5 + U; mean, other 0.1 N; bias 0.05 N; scale 1 + 0.1 N; scale3 (a bottleneck's last norm) 0.3 (1 + 0.1 N);
    conv N sqrt(2 / fan_in); linear N sqrt(1 / fan_in); int 0.
    """
    if kind == "int":
        return torch.zeros(tuple(shape), dtype=torch.int64)
    random = np.random.RandomState((zlib.crc32(name.encode()) ^ seed) & 0xFFFFFFFF)
    if kind == "var":
        values = 0.5 + random.random_sample(tuple(shape))
    else:
        values = np.asarray(random.standard_normal(tuple(shape)))
        if kind in ("scale", "scale3"):
            values = (1 if kind == "scale" else 0.3) * (1 + 0.1 * values)
        else:
            values *= _factor(kind, shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _factor(kind: str, shape: Sequence[int]) -> float:
    fixed = {"mean": 0.1, "other": 0.1, "bias": 0.05}
    if kind in fixed:
        return fixed[kind]
    return math.sqrt({"conv": 2.0, "linear": 1.0}[kind] / math.prod(shape[1:]))


def seeded_weights(spec: Iterable[tuple[str, Sequence[int], str]], seed: int = 0) -> dict[str, Tensor]:
    """A state dict for a list of (name, shape, kind)."""
    return {name: seeded_weight(name, shape, kind, seed) for name, shape, kind in spec}
