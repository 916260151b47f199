"""The decibel front end that CAVP was published with: HTK mel power in decibels, a hundredth of them.

See docs/reference/audio.md.

The arithmetic is that of torchaudio's `MelSpectrogram` and of a factor 20 before the logarithm of a power, where 10
would be right; published weights depend on it.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.config import AudioWindow
from avseg.nn.audio import at_rate, cut_windows, mixed_down, present_windows
from avseg.nn.mel import FFT, HOP, SAMPLE_RATE, WINDOW
from avseg.types import Batch

MEL_BINS, MEL_LOW, MEL_HIGH = 64, 125.0, 3800.0
FLOOR = 1e-5
"""Least power of a bin; it becomes -1."""
EDGE = FFT // 2
"""Samples mirrored on either side."""

_CHUNK = 200_000
"""Samples that a CPU takes at once, so that their spectra stay in its cache."""


def decibel_mel(waveform: Tensor) -> Tensor:
    """Sound in [-1, 1] at 16 kHz to log-mel pictures of at least -1: 20 log10(max(1e-5, power)) / 100.

    Frames of 25 ms every 10 ms, the first around the first sample, sound mirrored at both ends; a periodic Hann
    window in the middle of an FFT of 512, power, 64 triangles from 125 to 3800 Hz on the HTK mel scale. Computed in
    float32 as published; float64 moves values by less than 1e-5 and takes twice the time.

    Args:
        waveform: (N, S) on any device.

    Returns:
        (N, L, 64) float32 with L = 1 + S // 160: 101 of one second, 301 of three.

    Raises:
        ValueError: another shape, or 256 samples or fewer, which cannot be mirrored.
    """
    if waveform.ndim != 2 or waveform.shape[1] <= EDGE:
        raise ValueError(
            f"decibels got sound of shape {tuple(waveform.shape)}, wanted (N, S) at 16 kHz with S > {EDGE}"
        )
    with torch.autocast(waveform.device.type, enabled=False):
        if waveform.device.type != "cpu" or waveform.numel() <= _CHUNK:
            return _decibels(waveform.float())
        rows = max(1, _CHUNK // waveform.shape[1])
        return torch.cat([_decibels(part) for part in torch.split(waveform.float(), rows)])


def _decibels(waveform: Tensor) -> Tensor:
    hann, mel, heard = _constants(waveform.device)
    mirrored = F.pad(waveform, (EDGE, EDGE), mode="reflect")  # (N, S + 512)
    spectrum = torch.fft.rfft(mirrored.unfold(-1, FFT, HOP) * hann)  # (N, L, 257)
    real, imaginary = torch.view_as_real(spectrum[..., heard]).unbind(-1)  # (N, L, 117)
    # Not `abs`, which guards against overflow at twice the cost of all the rest but the FFT.
    power = torch.addcmul(real.square(), imaginary, imaginary)
    return 0.2 * torch.log10((power @ mel).clamp(min=FLOOR))


def decibel_windows(batch: Batch, window: AudioWindow, frames: int, channels: int) -> Tensor:
    """Return the decibel spectrogram of every frame.

    Sound is brought to 16 kHz as a whole before it is cut, so that windows have no edges but those that they mirror.

    Args:
        batch: its sound has one channel or two.
        window: which sound belongs to a frame.
        frames: how many mel frames of a window are kept, its first ones: 96 of one second, 300 of three.
        channels: 1 averages stereo sound, 2 keeps left and right.

    Returns:
        (B, T, channels, frames, 64) float32.

    Raises:
        ValueError: mono sound where two channels are wanted; windows too short for `frames`; features that came with
            the clips instead of sound.
    """
    if batch.audio_features is not None:
        raise ValueError(
            "the clips came with audio features, but the decibel front end needs sound; open the data set with "
            "audio='wav'"
        )
    if batch.audio.shape[1] < channels:
        raise ValueError(
            f"the clips have {batch.audio.shape[1]} channel of sound but the model needs {channels}; open the data "
            "set with stereo=True (--data.stereo), or use a mono model"
        )
    batch = at_rate(mixed_down(batch) if channels == 1 else batch, SAMPLE_RATE)
    cut = cut_windows(batch, window)  # (B, T, A, S_w)
    if cut.shape[-1] // HOP + 1 < frames:
        raise ValueError(
            f"a window of {window.seconds} s has {cut.shape[-1] // HOP + 1} mel frames, wanted {frames}; "
            "make it longer or keep fewer"
        )
    pictures = decibel_mel(cut.flatten(0, 2))[:, :frames]
    pictures = pictures.reshape(*cut.shape[:3], frames, MEL_BINS)  # (B, T, A, frames, 64)
    if window.missing == "zero_log_mel":
        pictures = pictures * present_windows(batch, window)[:, :, None, None, None]
    return pictures


def htk_mel_matrix() -> Tensor:
    """(257, 64) float64: triangles between points even on 2595 log10(1 + f / 700), straight in Hz, of height 1."""
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)[:, None]
    low, high = (2595 * torch.log10(1 + torch.tensor([MEL_LOW, MEL_HIGH], dtype=torch.float64) / 700)).tolist()
    mels = torch.linspace(low, high, MEL_BINS + 2, dtype=torch.float64)
    points = 700 * (10 ** (mels / 2595) - 1)  # (66,) Hz
    rising = (frequencies - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - frequencies) / (points[2:] - points[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


@lru_cache(maxsize=16)
def _constants(device: torch.device) -> tuple[Tensor, Tensor, slice]:
    """Hann window (512,) with its zeros, the mel matrix of the frequencies that any triangle hears, which those are.

    Not buffers: a model cast to half precision must not round them.
    """
    with torch.inference_mode(False):
        hann = torch.hann_window(WINDOW, periodic=True, dtype=torch.float64)
        zeros = (FFT - WINDOW) // 2
        matrix = htk_mel_matrix()
        rows = matrix.any(1).nonzero().flatten()
        heard = slice(int(rows[0]), int(rows[-1]) + 1)
        return F.pad(hann, (zeros, zeros)).float().to(device), matrix[heard].float().to(device), heard
