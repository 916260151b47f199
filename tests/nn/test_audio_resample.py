"""Resampling: the published numbers, tones that stay tones, and the same result however the work is cut."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch

from avseg.datasets.aviseg.options import FeatureOptions
from avseg.nn import resample as module
from avseg.nn.mel import log_mel_examples
from avseg.nn.resample import FILTERS, Form, resample


def _tone(frequency: float, rate: int, samples: int) -> torch.Tensor:
    return torch.sin(2 * torch.pi * frequency * torch.arange(samples, dtype=torch.float64) / rate)


@pytest.mark.parametrize("rates", [(44100, 16000), (48000, 16000), (8000, 16000)])
def test_the_old_form_gives_the_published_samples(golden: Any, rates: tuple[int, int]) -> None:
    """Of 22,050 samples 0.5 sin(0.011 j + 2.1e-5 j^2) + 0.2 sin(0.37 j): the old filter, walked as resampy does."""
    wanted = golden("tpavi/golden_resample.json")[f"{rates[0]}_{rates[1]}"]
    j = torch.arange(22050, dtype=torch.float64)
    got = resample(0.5 * torch.sin(0.011 * j + 2.1e-5 * j * j) + 0.2 * torch.sin(0.37 * j), *rates, form="resampy_0.2")
    assert got.shape == (wanted["length"],)
    assert float(got.square().mean().sqrt()) == pytest.approx(wanted["rms"], abs=1e-6)
    for index, value in wanted["samples"]:
        assert float(got[index]) == pytest.approx(value, abs=3e-6)


@pytest.mark.parametrize("rate", [44100, 48000, 22050, 8000])
@pytest.mark.parametrize(("form", "version"), [("resampy_0.2", "0.2.2"), ("resampy_0.4", "0.4.3")])
def test_each_form_gives_the_samples_of_its_version(golden: Any, form: Form, version: str, rate: int) -> None:
    """Of white noise, where the two filters lie -19 dB apart."""
    file = golden("resampy.json")["versions"]
    wanted, other = file[version][str(rate)], file["0.4.3" if version == "0.2.2" else "0.2.2"][str(rate)]
    got = resample(torch.from_numpy(0.1 * np.random.RandomState(0).standard_normal(rate)), rate, 16000, form)
    assert got.shape == (wanted["length"],)
    assert float(got.square().mean().sqrt()) == pytest.approx(wanted["rms"], abs=1e-6)
    for index, value in wanted["samples"]:
        assert float(got[index]) == pytest.approx(value, abs=1e-6)
    assert max(abs(float(got[index]) - value) for index, value in other["samples"]) > 1e-3


@pytest.mark.parametrize("rate", [44100, 48000])
def test_what_the_versions_change_of_a_log_mel_lies_in_its_highest_bins(rate: int) -> None:
    """0.45 at most of white noise (docs/reference/audio.md); below 7.2 kHz both filters let everything through."""
    sound = 0.1 * torch.randn(2 * rate, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    old, new, exact = (log_mel_examples(sound, rate, form) for form in ("resampy_0.2", "resampy_0.4", "exact"))
    away = (old - new).abs()
    assert 0.3 < float(away.max()) < 0.5 and 0.006 < float(away.mean()) < 0.01
    assert float(away[..., :63].max()) < 0.08
    assert float((old - exact).abs().max()) < 0.025


def test_the_forms_on_the_command_line_are_those_of_the_function() -> None:
    wanted = get_type_hints(FeatureOptions)["resampling"]
    assert set(get_args(wanted)) == set(get_args(Form)) == set(FILTERS)


@pytest.mark.parametrize("rates", [(44100, 16000), (48000, 16000), (22050, 16000), (11025, 16000), (16000, 44100)])
def test_a_tone_below_both_corners_comes_through_unchanged(rates: tuple[int, int]) -> None:
    frequency = 0.37 * min(rates)
    got = resample(_tone(frequency, rates[0], rates[0]), *rates)
    assert got.shape == (rates[1],)
    middle = slice(rates[1] // 4, -rates[1] // 4)
    assert torch.allclose(got[middle], _tone(frequency, rates[1], rates[1])[middle], atol=1e-7)


def test_a_tone_above_the_new_nyquist_rate_is_gone() -> None:
    got = resample(_tone(9000.0, 44100, 44100), 44100, 16000)
    assert float(got[2000:-2000].abs().max()) < 1e-5


def test_batches_dtypes_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = torch.randn(2, 3, 2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = resample(audio, 44100, 16000)
    assert whole.shape == (2, 3, 2000 * 16000 // 44100)
    assert torch.allclose(whole[1, 2], resample(audio[1, 2], 44100, 16000), atol=1e-12)
    assert resample(audio.float(), 44100, 16000).dtype == torch.float32
    monkeypatch.setattr(module, "_CHUNK", 20000)
    monkeypatch.setattr(module, "_BLOCK", 50)
    assert torch.allclose(resample(audio, 44100, 16000), whole, atol=1e-12)


def test_zeros_behind_a_sound_change_nothing_before_them() -> None:
    audio = torch.randn(3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    padded = torch.cat([audio, audio.new_zeros(2000)])
    alone = resample(audio, 48000, 16000)
    assert torch.allclose(resample(padded, 48000, 16000)[: alone.shape[0]], alone, atol=1e-12)


@pytest.mark.parametrize("samples", [0, 1, 2, 5])
def test_hardly_any_sound(samples: int) -> None:
    assert resample(torch.ones(1, samples), 44100, 16000).shape == (1, samples * 16000 // 44100)
    assert resample(torch.ones(1, samples), 8000, 16000).shape == (1, samples * 2)


def test_same_rate_is_the_same_tensor() -> None:
    audio = torch.ones(2, 10)
    assert resample(audio, 16000, 16000) is audio


def test_bad_rates_and_whole_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="sample rate 0"):
        resample(torch.ones(1, 10), 0, 16000)
    with pytest.raises(ValueError, match="divide 16-bit sound"):
        resample(torch.ones(1, 10, dtype=torch.int16), 44100, 16000)
    with pytest.raises(ValueError, match=r"'published' .* wanted one of 'exact', 'resampy_0\.2', 'resampy_0\.4'"):
        resample(torch.ones(1, 10), 44100, 16000, form="published")  # type: ignore[arg-type]


def test_pieces_of_the_work_may_be_as_small_as_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = resample(sound, 44100, 16000)
    monkeypatch.setattr(module, "_CHUNK", 1)
    assert torch.allclose(resample(sound, 44100, 16000), whole, rtol=0, atol=1e-12)
