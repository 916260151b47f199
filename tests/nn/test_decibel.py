"""The decibel front end against a slow literal transcription of its formulas, and against values known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avseg.config import AudioWindow
from avseg.nn.decibel import decibel_mel, decibel_windows, htk_mel_matrix
from avseg.nn.resample import resample
from avseg.types import Batch, Clip

SECOND = AudioWindow(seconds=1.0, anchor="frame", missing="silence")
AROUND = AudioWindow(seconds=3.0, anchor="frame", offset=-1.5, missing="silence")


def _noise(samples: int, channels: int = 1, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def _literal_filter(frequency: float, mel: int) -> float:
    """HTK: triangle `mel` of 64 at a frequency in Hz."""
    low, high = (2595 * math.log10(1 + f / 700) for f in (125, 3800))
    left, middle, right = (700 * (10 ** ((low + (high - low) * (mel + i) / 65) / 2595) - 1) for i in range(3))
    if left <= frequency <= middle:
        return (frequency - left) / (middle - left)
    return (right - frequency) / (right - middle) if middle < frequency <= right else 0.0


def _literal(sound: np.ndarray) -> np.ndarray:
    """(S,) -> (L, 64): mirrored by 256, a window of 400 in the middle of 512, the sum of a discrete transform."""
    mirrored = np.pad(sound.astype(np.float64), 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
    filters = np.array([[_literal_filter(16000 * k / 512, m) for m in range(64)] for k in range(257)])
    rows = []
    for begin in range(0, len(mirrored) - 511, 160):
        power = np.abs(turns @ (window * mirrored[begin : begin + 512])) ** 2
        decibels = 20 * np.log10(np.maximum(1e-5, power @ filters))
        rows.append(2 * (decibels - (-100)) / 200 - 1)
    return np.array(rows)


@pytest.mark.parametrize("samples", [257, 1000, 16000])
def test_every_value_equals_the_literal_transcription(samples: int) -> None:
    sound = _noise(samples, channels=2)
    sound[1] *= 1e-3
    got = decibel_mel(sound)
    assert got.shape == (2, 1 + samples // 160, 64) and got.dtype == torch.float32
    for channel in range(2):
        assert np.allclose(got[channel].numpy(), _literal(sound[channel].numpy()), atol=1e-5)


def test_filters_equal_the_literal_ones_and_none_is_empty() -> None:
    wanted = np.array([[_literal_filter(16000 * k / 512, m) for m in range(64)] for k in range(257)])
    matrix = htk_mel_matrix()
    assert np.allclose(matrix.numpy(), wanted, atol=1e-12)
    assert bool((matrix.sum(0) > 0).all())
    # 125 Hz is bin 4 and lies on a corner, as 3800 Hz lies between bins 121 and 122.
    assert not matrix[:5].any() and not matrix[122:].any() and bool(matrix[5:122].any(1).all())


def test_a_click_shows_the_window_and_the_area_of_every_filter() -> None:
    sound = torch.zeros(1, 16000)
    sound[0, 8000] = 0.5
    got = decibel_mel(sound)[0].double()
    for frame in (49, 50, 51):
        hann = 0.5 - 0.5 * math.cos(2 * math.pi * (8000 - 160 * frame + 200) / 400)
        wanted = 0.2 * torch.log10((0.5 * hann) ** 2 * htk_mel_matrix().sum(0))
        assert torch.allclose(got[frame], wanted, atol=1e-6)
    assert bool((got[:48] == -1).all()) and bool((got[53:] == -1).all())


def test_silence_is_minus_one_and_ten_times_louder_is_four_tenths_more() -> None:
    assert bool((decibel_mel(torch.zeros(2, 4800)) == -1).all())
    sound = _noise(4800)
    assert torch.allclose(decibel_mel(10 * sound), decibel_mel(sound) + 0.4, atol=1e-5)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 256\), wanted \(N, S\) at 16 kHz"):
        decibel_mel(torch.zeros(1, 256))
    with pytest.raises(ValueError, match=r"wanted \(N, S\)"):
        decibel_mel(torch.zeros(1, 1, 16000))


def _clip(audio: torch.Tensor, *, frames: int = 1, start: float = 0.0, rate: int = 16000) -> Clip:
    return Clip(
        id="clip",
        frames=torch.zeros(frames, 3, 4, 4, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=audio,
        sample_rate=rate,
        audio_start=start,
    )


def test_a_frame_hears_its_own_second() -> None:
    sound = _noise(160000)
    batch = Batch.collate([_clip(sound, frames=10)])
    got = decibel_windows(batch, SECOND, frames=96, channels=1)
    assert got.shape == (1, 10, 1, 96, 64)
    assert decibel_mel(sound[:, :16000]).shape[1] == 101
    assert torch.equal(got[0, 3, 0], decibel_mel(sound[:, 48000:64000])[0, :96])


def test_three_seconds_around_a_picture_in_stereo_and_averaged() -> None:
    sound = _noise(48000, channels=2)
    batch = Batch.collate([_clip(sound, start=-1.5), _clip(sound.flip(0), start=-1.5)])
    got = decibel_windows(batch, AROUND, frames=300, channels=2)
    assert got.shape == (2, 1, 2, 300, 64)
    assert decibel_mel(sound).shape[1] == 301
    assert torch.equal(got[0, 0], decibel_mel(sound)[:, :300])
    assert torch.equal(got[1], got[0].flip(1))
    averaged = decibel_windows(batch, AROUND, frames=300, channels=1)
    assert torch.equal(averaged[0, 0], decibel_mel(sound.mean(0, keepdim=True))[:, :300])


def test_mono_sound_for_a_stereo_model_is_refused() -> None:
    with pytest.raises(
        ValueError, match="1 channel of sound but the model needs 2; open the data set with stereo=True"
    ):
        decibel_windows(Batch.collate([_clip(_noise(16000))]), SECOND, frames=96, channels=2)


def test_other_rates_are_resampled_before_cutting() -> None:
    sound = _noise(2 * 44100)
    got = decibel_windows(Batch.collate([_clip(sound, frames=2, rate=44100)]), SECOND, frames=96, channels=1)
    wanted = decibel_mel(resample(sound, 44100, 16000)[:, 16000:32000])[:, :96]
    assert torch.allclose(got[0, 1], wanted, atol=1e-5)


def test_short_windows_and_shipped_features_are_refused() -> None:
    batch = Batch.collate([_clip(_noise(16000))])
    with pytest.raises(ValueError, match=r"a window of 0.9 s has 91 mel frames, wanted 96"):
        decibel_windows(batch, replace(SECOND, seconds=0.9), frames=96, channels=1)
    with pytest.raises(ValueError, match="open the data set with audio='wav'"):
        decibel_windows(replace(batch, audio_features=torch.zeros(1, 1, 1, 96, 64)), SECOND, frames=96, channels=1)


def test_missing_windows_can_be_zero_instead_of_the_floor() -> None:
    batch = Batch.collate([_clip(_noise(16000), frames=2)])
    assert bool((decibel_windows(batch, SECOND, 96, 1)[0, 1] == -1).all())
    assert not decibel_windows(batch, replace(SECOND, missing="zero_log_mel"), 96, 1)[0, 1].any()


def test_half_precision_around_it_changes_nothing() -> None:
    sound = _noise(16000)
    with torch.autocast("cpu", torch.bfloat16):
        inside = decibel_mel(sound)
    assert inside.dtype == torch.float32 and torch.equal(inside, decibel_mel(sound))


def test_many_windows_are_each_as_if_alone() -> None:
    sound = _noise(48000, channels=9)
    assert torch.allclose(decibel_mel(sound)[7], decibel_mel(sound[7:8])[0], atol=1e-6)
