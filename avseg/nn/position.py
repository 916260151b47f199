"""Where things are, as numbers an attention can use."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 10000.0


def sine_positions(
    height: int,
    width: int,
    channels: int,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    normalised: bool = True,
) -> Tensor:
    """Sines and cosines of each pixel's place in its map (Carion et al. 2020, "End-to-End Object Detection").

    Rows are counted from 1 and divided by their number, times two pi; columns alike. Half of the channels tell the
    row, the others the column; sine and cosine alternate, and each pair has a frequency of its own.

    Args:
        height: of the map, in pixels.
        width: of the map, in pixels.
        channels: a multiple of 4.
        device: where the answer is wanted.
        dtype: of the answer; the arithmetic is float32 or finer.
        normalised: False: rows and columns are counted from 1 and taken as they are (Vaswani et al. 2017).

    Returns:
        (height * width, channels), row by row.

    Raises:
        ValueError: channels that four does not divide.
    """
    if channels % 4:
        raise ValueError(f"sine positions in {channels} channels; wanted a multiple of 4")
    precise = torch.promote_types(dtype, torch.float32)

    def along(count: int) -> Tensor:
        places = torch.arange(1, count + 1, device=device, dtype=precise)
        shares = places / (places[-1:] + 1e-6)
        return _waves(shares * (2 * math.pi) if normalised else places, channels // 2)

    rows = along(height)[:, None].expand(-1, width, -1)
    columns = along(width)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1).to(dtype)


def sine_sequence(shares: Tensor, channels: int) -> Tensor:
    """Sines and cosines of places along a line, as of rows and columns above.

    Args:
        shares: (...) float32 or finer, how much of the line lies before the end of each place, 0 to 1.
        channels: an even number.

    Returns:
        (..., channels).

    Raises:
        ValueError: an odd number of channels.
    """
    if channels % 2:
        raise ValueError(f"a sine sequence in {channels} channels; wanted an even number")
    return _waves(shares * (2 * math.pi), channels)


def _waves(places: Tensor, channels: int) -> Tensor:
    """(...) in radians of the fastest wave -> (..., channels)."""
    pairs = torch.arange(channels // 2, device=places.device, dtype=places.dtype)
    wavelengths = TEMPERATURE ** (2 * pairs / channels)
    angles = places[..., None] / wavelengths  # (..., channels / 2)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)
