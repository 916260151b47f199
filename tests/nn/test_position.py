"""The sine encoding of places, number by number."""

from __future__ import annotations

import math

import pytest
import torch

from avseg.nn.position import sine_positions, sine_sequence


def test_every_number_is_the_sine_or_cosine_of_its_place() -> None:
    height, width, channels = 3, 5, 16
    encoding = sine_positions(height, width, channels, dtype=torch.float64).reshape(height, width, channels)
    half = channels // 2
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                place, count = (row, height) if channel < half else (column, width)
                k = channel % half
                angle = (place + 1) / (count + 1e-6) * 2 * math.pi / 10000 ** (2 * (k // 2) / half)
                wanted = math.cos(angle) if k % 2 else math.sin(angle)
                assert float(encoding[row, column, channel]) == pytest.approx(wanted, abs=1e-12)


def test_places_differ_and_channels_come_in_fours() -> None:
    encoding = sine_positions(4, 6, 32)
    assert encoding.shape == (24, 32)
    assert len(encoding.mul(1e4).round().unique(dim=0)) == 24
    with pytest.raises(ValueError, match="sine positions in 6 channels; wanted a multiple of 4"):
        sine_positions(2, 2, 6)


def test_a_line_is_placed_as_the_rows_of_a_map_are() -> None:
    line = sine_sequence(torch.arange(1, 8) / (7 + 1e-6), 16)
    assert torch.equal(line, sine_positions(7, 1, 32)[:, :16])
    several = sine_sequence(torch.rand(2, 3, generator=torch.Generator().manual_seed(0)), 6)
    assert several.shape == (2, 3, 6)
    with pytest.raises(ValueError, match="5 channels; wanted an even number"):
        sine_sequence(torch.zeros(1), 5)


def test_raw_places_are_counted_from_one() -> None:
    encoding = sine_positions(3, 4, 16, dtype=torch.float64, normalised=False).reshape(3, 4, 16)
    for row, column, channel in ((0, 0, 0), (2, 3, 5), (1, 3, 10), (2, 0, 15)):
        place = row + 1 if channel < 8 else column + 1
        angle = place / 10000 ** (2 * (channel % 8 // 2) / 8)
        wanted = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
        assert float(encoding[row, column, channel]) == pytest.approx(wanted, abs=1e-12)
