"""Weights and inputs given by formulas, for which the golden numbers hold (docs/explanation/golden.md)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

_CHUNK = 1 << 20


def _wave(count: int, entry: int) -> np.ndarray:
    """s of elements 0..count-1 of entry `entry`: sin(0.7 i + 1.3 k + ((0.001 i^2) mod 6)), float64."""
    out = np.empty(count)
    for start in range(0, count, _CHUNK):
        i = np.arange(start, min(start + _CHUNK, count), dtype=np.float64)
        out[start : start + len(i)] = np.sin(0.7 * i + 1.3 * entry + np.mod(0.001 * i * i, 6.0))
    return out


def seeded_tensor(name: str, shape: Sequence[int], entry: int) -> Tensor:
    """The tensor of the `entry`-th name (0-based, every name counts) of a list of keys; float32, counters int64."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    count = math.prod(shape)
    s = _wave(count, entry)
    if name.endswith("running_var"):
        s = 1 + 0.5 * s**2
    elif name.endswith("running_mean"):
        s *= 0.1
    elif len(shape) == 1:
        s = 1 + 0.1 * s if name.endswith("weight") else 0.02 * s
    else:
        s *= math.sqrt(2 / (count / shape[0]))
    return torch.from_numpy(s.astype(np.float32)).reshape(tuple(shape))


def seeded_state(keys: Iterable[tuple[str, Sequence[int]]]) -> dict[str, Tensor]:
    """A state dict for a list of (name, shape), such as those of `golden/tpavi/keys_*.json`."""
    return {name: seeded_tensor(name, shape, entry) for entry, (name, shape) in enumerate(keys)}


def sequence(shape: Sequence[int], frequency: float, amplitude: float, phase: float = 0.0) -> Tensor:
    """`amplitude * sin(frequency * j + phase)` over the flat index j; float64 arithmetic, then float32."""
    j = np.arange(math.prod(shape), dtype=np.float64)
    values = amplitude * np.sin(frequency * j + phase)
    return torch.from_numpy(values.astype(np.float32)).reshape(tuple(shape))
