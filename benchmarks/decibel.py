"""The decibel front end on a batch of windows, and a plain transcription of its formulas, in one run.

The plain side is a window at a time: mirrored by 256, `torch.stft` with the window inside zeros, power, a product with
all 257 frequencies, the logarithm, the scale from decibels to -1 .. 1. On the CPU times are those of the process, all
threads together.
The floor is one bare FFT pass over the same frames. Prints JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from harness import milliseconds, options_of, parser, spent, tell
from torch import Tensor

from avseg.nn.decibel import decibel_mel, htk_mel_matrix


def plain(window: Tensor, mel: Tensor) -> Tensor:
    """(S,) -> (L, 64)."""
    hann = torch.hann_window(400, device=window.device)
    spectrum = torch.stft(
        window, 512, 160, 400, hann, center=True, pad_mode="reflect", normalized=False, return_complex=True
    )
    power = mel.T @ spectrum.abs().pow(2)  # (64, L)
    decibels = 20 * torch.log10(torch.clamp(power, min=1e-5))
    return (2 * (decibels - (-100)) / 200 - 1).T


def fastest(run: Callable[[], Any], repeats: int, device: str) -> float:
    """Milliseconds: of the processor on the CPU, by the clock on a GPU."""
    took = spent(run, repeats, warm=True, device=device)
    return milliseconds(took.cpu if device == "cpu" else took.wall, 3)


def main() -> None:
    shared = parser(__doc__, threads=1, device=True)
    shared.add_argument("--windows", type=int, default=32, help="16 pictures in stereo")
    shared.add_argument("--seconds", type=float, default=3.0)
    shared.add_argument("--repeats", type=int, default=10)
    options = options_of(shared)
    generator = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(options.windows, round(options.seconds * 16000), generator=generator)
    sound = sound.to(options.device)
    mel = htk_mel_matrix().to(options.device, torch.float32)
    ours, theirs = decibel_mel(sound), torch.stack([plain(window, mel) for window in sound])
    frames = torch.rand(options.windows, ours.shape[1], 512, device=options.device)
    ours_ms = fastest(lambda: decibel_mel(sound), options.repeats, options.device)
    plain_ms = fastest(lambda: [plain(window, mel) for window in sound], options.repeats, options.device)
    result = {
        "device": options.device,
        "threads": options.threads,
        "windows": options.windows,
        "seconds": options.seconds,
        "ours_ms": ours_ms,
        "plain_one_by_one_ms": plain_ms,
        "times_faster": round(plain_ms / ours_ms, 2),
        "largest_difference": float((ours - theirs).abs().max()),
        "floor_one_fft_pass_ms": fastest(lambda: torch.fft.rfft(frames), options.repeats, options.device),
    }
    tell(result, options.out)


if __name__ == "__main__":
    main()
