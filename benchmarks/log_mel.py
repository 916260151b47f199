"""Log-mel pictures of a sound: the batched front end and a plain transcription of the published formulas in one run.

The plain side is numpy in float64: the resampling sum tap by tap (arrays over all outputs), then frames, FFT and mel
product as the formulas stand. Both sides start from the waveform and walk the same table, so that their pictures can be
compared. Floors: one pass over the sound, one bare FFT of the frames. Prints JSON. VGGish is timed on
the first five pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import milliseconds, options_of, parser, spent, tell

from avseg.nn.mel import log_mel_examples
from avseg.nn.resample import FILTERS, Form
from avseg.nn.vggish import VGGish


def filter_table(form: Form) -> tuple[np.ndarray, int]:
    """Right half of the windowed sinc, and its entries a zero crossing."""
    kind = FILTERS[form]
    assert kind.table is not None
    n = kind.zero_crossings * kind.table
    sinc = kind.rolloff * np.sinc(kind.rolloff * np.arange(n + 1) / kind.table)
    return np.append(sinc * np.kaiser(2 * n + 1, kind.beta)[n:], 0.0), kind.table


def plain_resample(x: np.ndarray, rate_from: int, rate_to: int, form: Form) -> np.ndarray:
    """(S,) -> (S * rate_to // rate_from,): each output the sum of two wings of taps read off the table."""
    (table, entries), scale = filter_table(form), min(1.0, rate_to / rate_from)
    step = math.floor(scale * entries)
    position = np.arange(len(x) * rate_to // rate_from) * (rate_from / rate_to)
    nearest = position.astype(np.int64)
    out = np.zeros(len(position))
    for side, first in ((-1, scale * (position - nearest)), (1, scale * (1 - (position - nearest)))):
        entry, share = np.divmod(first * entries, 1.0)
        for tap in range(math.ceil(len(table) / step)):
            at, source = entry.astype(np.int64) + tap * step, nearest + side * tap + (side > 0)
            inside = (at < len(table) - 1) & (source >= 0) & (source < len(x))
            at, source = np.where(inside, at, len(table) - 2), np.where(inside, source, 0)
            out += inside * (table[at] + share * (table[at + 1] - table[at])) * x[source]
    return scale * out


def plain_frames(wave: np.ndarray) -> np.ndarray:
    """(S,) -> (L, 400), 160 apart."""
    return np.stack([wave[start : start + 400] for start in range(0, len(wave) - 399, 160)])


def plain_log_mel(wave: np.ndarray) -> np.ndarray:
    """(S,) at 16 kHz -> (n, 96, 64)."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    spectrum = np.abs(np.fft.rfft(plain_frames(wave) * hann, 512))
    mel = 1127 * np.log(1 + np.linspace(0, 8000, 257) / 700)[:, None]
    edges = np.linspace(*(1127 * np.log(1 + np.array([125.0, 7500.0]) / 700)), 66)
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    picture = np.log(spectrum @ weights + 0.01)
    return picture[: len(picture) // 96 * 96].reshape(-1, 96, 64).astype(np.float32)


def fastest(run: Callable[[], Any], repeats: int) -> float:
    return milliseconds(spent(run, repeats, warm=False).wall)


def measure(seconds: float, rate: int, repeats: int, form: Form) -> dict[str, Any]:
    """Both sides, their difference and the floors for one sound of noise."""
    sound = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))
    tensor = torch.from_numpy(sound)
    resampled = plain_resample(sound, rate, 16000, form) if rate != 16000 else sound
    plain = plain_log_mel(resampled)
    ours = log_mel_examples(tensor, rate, form)[:, 0].numpy()
    frames = torch.from_numpy(plain_frames(resampled))
    plain_ms = fastest(lambda: plain_log_mel(resampled), repeats)
    if rate != 16000:
        plain_ms += fastest(lambda: plain_resample(sound, rate, 16000, form), max(1, repeats // 5))
    ours_ms = fastest(lambda: log_mel_examples(tensor, rate, form), repeats)
    return {
        "seconds": seconds,
        "rate": rate,
        "form": form,
        "examples": len(ours),
        "ours_ms": ours_ms,
        "plain_ms": round(plain_ms, 3),
        "times_faster": round(plain_ms / ours_ms, 1),
        "largest_difference": float(np.abs(ours - plain).max()),
        "floor_one_pass_over_the_sound_ms": fastest(lambda: tensor.sum(), repeats),
        "floor_one_fft_pass_ms": fastest(lambda: torch.fft.rfft(frames, n=512), repeats),
    }


@torch.inference_mode()
def measure_vggish(repeats: int) -> dict[str, Any]:
    """The audio network on five pictures; the floor is what a large float32 matrix product of equal work takes."""
    network, pictures = VGGish().eval(), torch.zeros(5, 1, 96, 64)
    sizes = ((96 * 64, 1, 64), (48 * 32, 64, 128), (24 * 16, 128, 256), (24 * 16, 256, 256))
    sizes += ((12 * 8, 256, 512), (12 * 8, 512, 512))
    products = 5 * (sum(9 * pixels * a * b for pixels, a, b in sizes) + 12288 * 4096 + 4096 * 4096 + 4096 * 128)
    a = torch.randn(1024, 1024)
    floor = fastest(lambda: a @ a, repeats) * products / 1024**3
    return {"pictures": 5, "ours_ms": fastest(lambda: network(pictures), repeats), "floor_ms": round(floor, 3)}


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--seconds", type=float, default=10.0)
    shared.add_argument("--rates", type=int, nargs="+", default=[16000, 44100, 48000])
    shared.add_argument("--repeats", type=int, default=10)
    shared.add_argument("--form", choices=["resampy_0.2", "resampy_0.4"], default="resampy_0.2")
    options = options_of(shared)
    result = {
        "threads": options.threads,
        "log_mel": [measure(options.seconds, rate, options.repeats, options.form) for rate in options.rates],
        "vggish": measure_vggish(options.repeats),
    }
    tell(result, options.out)


if __name__ == "__main__":
    main()
