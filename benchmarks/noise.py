"""Sound made harder: two sounds mixed at a level, white noise at a signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from avseg.types import Draw


def root_mean_square(audio: Tensor) -> float:
    """Over all channels and samples; 0 of no samples."""
    return float(audio.double().square().mean().sqrt()) if audio.numel() else 0.0


def mixed(audio: Tensor, other: Tensor, decibels: float = 0.0) -> Tensor:
    """(A, S) `audio` with (A, S) `other` added, `decibels` below its level over the whole clip.

    Nothing is cut off where the sum passes 1. To silence, or of silence, nothing is added.

    Raises:
        ValueError: two shapes.
    """
    if audio.shape != other.shape:
        raise ValueError(
            f"two sounds of shapes {tuple(audio.shape)} and {tuple(other.shape)} cannot be mixed; cut them"
        )
    level, of_other = root_mean_square(audio), root_mean_square(other)
    return audio + other * (level / of_other * 10 ** (-decibels / 20)) if of_other else audio


def with_noise(audio: Tensor, decibels: float, seed: int) -> Tensor:
    """(A, S) `audio` and white noise at a signal-to-noise ratio over the whole clip; one seed, one noise."""
    noise = torch.randn(audio.shape, generator=Draw(seed, 0).generator(), dtype=torch.float32)
    return mixed(audio, noise.to(audio.device, audio.dtype), decibels)
