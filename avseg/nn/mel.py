"""The log-mel front end of VGGish, computed for all windows at once (Hershey et al. 2017; docs/reference/audio.md)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from avseg.nn.resample import Form, exact_dtype, resample

SAMPLE_RATE = 16000
WINDOW, HOP, FFT = 400, 160, 512
MEL_BINS, MEL_LOW, MEL_HIGH = 64, 125.0, 7500.0
LOG_OFFSET = 0.01
EXAMPLE_FRAMES = 96
EXAMPLE_SAMPLES = (EXAMPLE_FRAMES - 1) * HOP + WINDOW
"""Samples of one example, 15600 or 0.975 s; the next begins 15360 samples, 0.96 s, after it."""
EXAMPLE_HOP = EXAMPLE_FRAMES * HOP


class LogMel(nn.Module):
    """Sound at 16 kHz to log-mel pictures; has no parameters and adds nothing to a model file.

    Frames of 25 ms every 10 ms under a periodic Hann window, magnitudes of 257 frequencies, 64 mel triangles from 125
    to 7500 Hz, ln(mel + offset). Computed in float64 where the device has it, returned in float32.
    """

    def __init__(self, offset: float = LOG_OFFSET) -> None:
        """`offset`: 0.01 for VGGish, 0.001 for YAMNet."""
        super().__init__()
        self.offset = offset

    def forward(self, waveform: Tensor) -> Tensor:
        """(N, S) sound in [-1, 1] -> (N, 1, L, 64) float32 with L = 1 + (S - 400) // 160; S = 15600 gives L = 96.

        Raises:
            ValueError: another shape, or less sound than one frame of 400 samples.
        """
        if waveform.ndim != 2 or waveform.shape[1] < WINDOW:
            raise ValueError(
                f"log-mel got sound of shape {tuple(waveform.shape)}, wanted (N, S) at 16 kHz with S >= {WINDOW}"
            )
        wide = exact_dtype(waveform.device)
        hann, mel = _constants(waveform.device, wide)
        with torch.autocast(waveform.device.type, enabled=False):
            frames = waveform.to(wide).unfold(-1, WINDOW, HOP) * hann  # (N, L, 400)
            spectrum = torch.view_as_real(torch.fft.rfft(frames, n=FFT))  # (N, L, 257, 2)
            # Not `abs`, which guards against overflow at twice the cost.
            magnitudes = torch.linalg.vector_norm(spectrum, dim=-1)  # (N, L, 257)
            return torch.log(magnitudes @ mel + self.offset).float().unsqueeze(1)


def log_mel_examples(audio: Tensor, sample_rate: int = SAMPLE_RATE, form: Form = "exact") -> Tensor:
    """The whole examples of a sound: (S,) or (A, S) -> (n, 1, 96, 64) float32, one every 0.96 s, the tail dropped.

    Channels are averaged first, then the rate is brought to 16 kHz, as published; `form` is that of
    `resample`. Sound shorter than 0.975 s has n = 0.
    """
    wave = audio.mean(0) if audio.ndim == 2 else audio
    wave = resample(wave.to(exact_dtype(wave.device)), sample_rate, SAMPLE_RATE, form)
    if wave.shape[0] < EXAMPLE_SAMPLES:
        return torch.zeros(0, 1, EXAMPLE_FRAMES, MEL_BINS, device=wave.device)
    picture: Tensor = LogMel()(wave[None])  # (1, 1, L, 64)
    count = picture.shape[2] // EXAMPLE_FRAMES
    return picture[0, 0, : count * EXAMPLE_FRAMES].reshape(count, 1, EXAMPLE_FRAMES, MEL_BINS)


def mel_matrix() -> Tensor:
    """(257, 64) float64: triangles, straight on the mel scale 1127 ln(1 + f / 700), without area normalisation."""
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)
    low, high = _mel(torch.tensor([MEL_LOW, MEL_HIGH], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, MEL_BINS + 2, dtype=torch.float64)
    at = _mel(frequencies)[:, None]  # (257, 1)
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    matrix = torch.minimum(rising, falling).clamp(min=0)
    matrix[0] = 0
    return matrix


def _mel(frequency: Tensor) -> Tensor:
    return 1127 * torch.log1p(frequency / 700)


@lru_cache(maxsize=16)
def _constants(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Hann window (400,) and mel matrix (257, 64). Not buffers: a model cast to half precision must not round them."""
    with torch.inference_mode(False):
        hann = torch.hann_window(WINDOW, periodic=True, dtype=torch.float64)
        return hann.to(device=device, dtype=dtype), mel_matrix().to(device=device, dtype=dtype)
