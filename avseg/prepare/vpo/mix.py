"""What a sample is heard with: three seconds of each source, panned by its place, summed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from avseg.io.audio import read_wav

SAMPLE_RATE = 16000
SAMPLES = 3 * SAMPLE_RATE


def middle(wave: Tensor) -> Tensor:
    """(S,) -> (48000,): the middle three seconds; shorter sounds are repeated from their start."""
    length = len(wave)
    if length < SAMPLES:
        return wave.repeat(-(-SAMPLES // length))[:SAMPLES]
    start = length // 2 - SAMPLES // 2
    return wave[start : start + SAMPLES]


def mix(files: Sequence[Path], positions: Sequence[float], stereo: bool) -> Tensor:
    """(1 or 2, 48000) sum of the sources; in stereo, left is (1 - p) x and right p x."""
    waves = torch.stack([middle(read_wav(path, SAMPLE_RATE, 1)[0][0]) for path in files])  # (N, S)
    if not stereo:
        return waves.sum(0, keepdim=True)
    right = torch.tensor(positions, dtype=torch.float32)[:, None]
    return torch.stack([(waves * (1 - right)).sum(0), (waves * right).sum(0)])
