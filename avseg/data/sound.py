"""Sound for data sets: whole, only its centre, panned between left and right, or as published."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.data.config import DataConfig
from avseg.io.audio import Wav, open_wav, read_wav

BUFFER_SECONDS = 10
"""Length of the published buffer of AVSBench sounds."""
_REACH = 64
"""Zero crossings of the lower rate that a resampled value hears on either side (`avseg.nn.resample`)."""


def read_sound(path: Path, config: DataConfig) -> tuple[Tensor, int]:
    """The whole waveform (A, S) float32 and its rate; A = 2 where `config.stereo`, else the average of all channels.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a WAV file, or a mono file for a stereo recipe.
    """
    if not config.stereo:
        return read_wav(path, config.sample_rate, 1)
    audio, rate = read_wav(path, config.sample_rate)
    if audio.shape[0] == 1:
        raise ValueError(
            f"{path} is mono but the recipe needs stereo; use stereo sounds or a mono recipe (--data.no-stereo)"
        )
    if audio.shape[0] > 2:
        raise ValueError(f"{path} has {audio.shape[0]} channels, wanted left and right")
    return audio, rate


def read_centre(path: Path, seconds: float, sample_rate: int, published: bool = False) -> Tensor:
    """(S,) float32 in [-1, 1]: the middle of a sound, averaged over its channels, at `sample_rate`.

    Only that part of the file is read. What it takes of sounds that are too short is on `centred`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a WAV file, or one without a sample at that rate.
    """
    wav = open_wav(path)
    size = round(seconds * sample_rate)
    total = wav.samples.shape[1] * sample_rate // wav.rate
    if total == 0:
        raise ValueError(f"{path} is too short to have a sample at {sample_rate} Hz; prepare or copy it again")
    begin = total // 2 - size // 2
    if begin < 0:
        return torch.from_numpy(centred(_at_rate(_mean(wav), wav.rate, sample_rate), size, published)).float()
    return torch.from_numpy(_resampled_part(wav, begin, size, sample_rate)).float()


def centred(sound: NDArray[np.float64], size: int, published: bool = False) -> NDArray[np.float64]:
    """The middle `size` samples of (..., S).

    A shorter sound is repeated from its start. The published way takes a negative start of the window for a place
    counted from the end, so that of sounds over a third of `size` only the end is heard, again and again.
    """
    begin = sound.shape[-1] // 2 - size // 2
    if begin >= 0 or published:
        sound = sound[..., begin : begin + size]
    return np.take(sound, np.arange(size) % sound.shape[-1], axis=-1) if sound.shape[-1] < size else sound


def pan(sound: Tensor, position: float) -> Tensor:
    """(S,) to (2, S): left and right of a source at `position`, 0 (left) to 1, by amplitude alone, as published."""
    return torch.stack([sound * (1 - position), sound * position])


def published_buffer(audio: Tensor, sample_rate: int) -> Tensor:
    """(A, S) to (A, 10 s): what the published readers keep of an AVSBench sound (see `centred`)."""
    kept = centred(audio.numpy().astype(np.float64), BUFFER_SECONDS * sample_rate, published=True)
    return torch.from_numpy(np.ascontiguousarray(kept)).to(audio.dtype)


def every_second_second(audio: Tensor, sample_rate: int, frames: int) -> Tensor:
    """(A, S) to (A, frames * 1 s): second k of the result is second 2 k of `audio`; silence where that has ended."""
    wanted = 2 * frames * sample_rate
    padded = torch.cat([audio[:, :wanted], audio.new_zeros(len(audio), max(0, wanted - audio.shape[1]))], 1)
    return padded.reshape(len(audio), frames, 2, sample_rate)[:, :, 0].flatten(1)


def _resampled_part(wav: Wav, begin: int, size: int, sample_rate: int) -> NDArray[np.float64]:
    """Samples [begin, begin + size) of the resampled sound, from the part of the file that they hear."""
    if wav.rate == sample_rate:
        return _mean(wav, begin, begin + size)
    common = math.gcd(wav.rate, sample_rate)
    up, down = sample_rate // common, wav.rate // common
    reach = math.ceil(_REACH * max(1.0, down / up)) + 1
    # The part begins at a whole number of `down`, where the resampled grid meets the file's.
    periods = max(0, begin * down // up - reach) // down
    first, last = periods * down, math.ceil((begin + size) * down / up) + reach
    part = _at_rate(_mean(wav, first, last), wav.rate, sample_rate)
    return part[begin - periods * up :][:size]


def _mean(wav: Wav, begin: int = 0, end: int | None = None) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = wav.part(begin, end).mean(0)
    return mean


def _at_rate(sound: NDArray[np.float64], rate: int, sample_rate: int) -> NDArray[np.float64]:
    from avseg.nn.audio import resample

    resampled: NDArray[np.float64] = resample(torch.from_numpy(sound), rate, sample_rate).numpy()
    return resampled
