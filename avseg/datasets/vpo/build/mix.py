"""The sound of a sample: the sum of three seconds of each source, panned to its position in stereo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from avseg.data.sound import pan, read_centre

SAMPLE_RATE = 16000
SECONDS = 3.0


def mix(files: Sequence[Path], positions: Sequence[float], stereo: bool) -> Tensor:
    """(1 or 2, 48000) as the reader of VPO gives it."""
    sounds = [read_centre(path, SECONDS, SAMPLE_RATE) for path in files]
    placed = [pan(s, p) if stereo else s[None] for s, p in zip(sounds, positions, strict=True)]
    return torch.stack(placed).sum(0)
