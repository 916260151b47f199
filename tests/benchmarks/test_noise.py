"""Levels are what was asked for."""

from __future__ import annotations

import math

import pytest
import torch
from noise import mixed, root_mean_square, with_noise


def tone(level: float, hertz: float) -> torch.Tensor:
    return level * math.sqrt(2) * torch.sin(2 * math.pi * hertz * torch.arange(16000) / 16000)[None]


@pytest.mark.parametrize("decibels", [0.0, 10.0, -6.0])
def test_a_sound_is_mixed_in_at_the_level_asked_for(decibels: float) -> None:
    a, b = tone(0.1, 440), tone(0.02, 1000)
    both = mixed(a, b, decibels)
    added = both - a
    assert 20 * math.log10(root_mean_square(a) / root_mean_square(added)) == pytest.approx(decibels, abs=1e-3)
    assert torch.allclose(added / root_mean_square(added), b / root_mean_square(b), atol=1e-4)


@pytest.mark.parametrize("decibels", [20.0, 0.0])
def test_noise_has_its_ratio_and_follows_its_seed(decibels: float) -> None:
    a = tone(0.05, 440).expand(2, -1)
    noise = with_noise(a, decibels, 3) - a
    assert 20 * math.log10(root_mean_square(a) / root_mean_square(noise)) == pytest.approx(decibels, abs=1e-3)
    assert torch.equal(with_noise(a, decibels, 3), with_noise(a, decibels, 3))
    assert not torch.equal(with_noise(a, decibels, 4), with_noise(a, decibels, 3))
    # White: neighbours know nothing of each other, nor do channels.
    pair = noise / root_mean_square(noise)
    assert abs(float((pair[:, 1:] * pair[:, :-1]).mean())) < 0.03 and abs(float((pair[0] * pair[1]).mean())) < 0.03


def test_silence_stays_what_it_is() -> None:
    silent, loud = torch.zeros(1, 100), torch.ones(1, 100)
    assert torch.equal(mixed(loud, silent), loud) and torch.equal(mixed(silent, loud), silent)
    assert torch.equal(with_noise(silent, 0.0, 1), silent)


def test_sounds_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="cut them"):
        mixed(torch.zeros(1, 3), torch.zeros(1, 4))
