"""Change of sample rate by a windowed sinc, as one matrix product for all clips.

The filter is the published front end's choice (resampy's `kaiser_best`, after Smith, "Digital Audio Resampling"): a
sinc of 64 zero crossings under a Kaiser window of beta 14.77, its corner at 0.9476 of the lower Nyquist rate. Here the
filter is evaluated by its formula at every phase instead of being read off a table. The published table has 512 entries
a zero crossing and is walked in whole entries, which stretches the filter by up to 0.5 % when the rate falls;
`form="published"` repeats that.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

ZERO_CROSSINGS = 64
KAISER_BETA = 14.769656459379492
ROLLOFF = 0.9475937167399596
TABLE = 512
"""Entries a zero crossing of the published table (precision 9)."""

Form: TypeAlias = Literal["exact", "published"]

_BLOCK = 192
"""Outputs that a frame of input yields at most: enough that little is read twice, few enough for a cache."""
_CHUNK = 1 << 23
"""Values that a chunk of frames may hold, so that memory does not follow the length of the sound."""


def resample(audio: Tensor, rate_from: int, rate_to: int, form: Form = "exact") -> Tensor:
    """Sound at another sample rate.

    Args:
        audio: (..., S) floating point, on any device.
        rate_from: Hz.
        rate_to: Hz.
        form: "exact", or "published" for the steps of the published table.

    Returns:
        (..., S * rate_to // rate_from) of the same dtype; what lies beyond both ends counts as silence.

    Raises:
        ValueError: a rate that is not a positive whole number, or sound that is not floating point.
    """
    for rate in (rate_from, rate_to):
        if rate != int(rate) or rate <= 0:
            raise ValueError(f"sample rate {rate}, wanted a positive whole number of Hz")
    if form not in ("exact", "published"):
        raise ValueError(f"form {form!r} of resampling, wanted 'exact' or 'published'")
    if not audio.is_floating_point():
        raise ValueError(f"sound to resample is {audio.dtype}, wanted floats in [-1, 1]; divide 16-bit sound by 32768")
    if rate_from == rate_to:
        return audio
    up, down = _ratio(int(rate_from), int(rate_to))
    count = audio.shape[-1] * int(rate_to) // int(rate_from)
    wide = exact_dtype(audio.device)
    if count == 0:
        return audio.new_zeros(*audio.shape[:-1], 0)
    with torch.autocast(audio.device.type, enabled=False):
        rows = audio.reshape(-1, audio.shape[-1]).to(wide)  # (N, S)
        out = _resample_rows(rows, (up, down, form), count)
    return out.to(audio.dtype).reshape(*audio.shape[:-1], count)


def exact_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def _ratio(rate_from: int, rate_to: int) -> tuple[int, int]:
    """(outputs, inputs) of one frame: the reduced ratio, repeated until a frame is worth a matrix product."""
    common = math.gcd(rate_from, rate_to)
    up, down = rate_to // common, rate_from // common
    repeat = max(1, _BLOCK // up)
    return up * repeat, down * repeat


def _resample_rows(rows: Tensor, ratio: tuple[int, int, Form], count: int) -> Tensor:
    """(N, S) -> (N, count): frames of input `down` apart, each times the filters of its `up` phases."""
    up, down, _ = ratio
    half = _half_width(*ratio)
    frames = -(-count // up)
    out = rows.new_empty(rows.shape[0], frames, up)
    padded = F.pad(rows, (half, max(0, frames * down + half + 1 - rows.shape[1])))
    for first in range(0, up, _BLOCK):
        last = min(first + _BLOCK, up)
        filters = _filters(ratio, first, last, rows.device, rows.dtype)  # (span, last - first)
        spans = padded[:, first * down // up :].unfold(1, filters.shape[0], down)[:, :frames]  # (N, frames, span)
        step = max(1, _CHUNK // (filters.shape[0] * rows.shape[0]))
        for start in range(0, frames, step):
            out[:, start : start + step, first:last] = spans[:, start : start + step] @ filters
    return out.flatten(1)[:, :count]


def _half_width(up: int, down: int, form: Form) -> int:
    """Inputs on either side that an output hears."""
    return math.ceil(ZERO_CROSSINGS / _step(up, down, form))


def _step(up: int, down: int, form: Form) -> float:
    """Zero crossings of the filter from one input to the next."""
    scale = min(1.0, up / down)
    return math.floor(scale * TABLE) / TABLE if form == "published" else scale


@lru_cache(maxsize=128)
def _filters(ratio: tuple[int, int, Form], first: int, last: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(span, last - first): what each input of a span gives to the outputs `first` to `last` of a frame.

    Inputs count from `first * down // up - half`; phase p lies at input p * down / up.
    """
    up, down, _ = ratio
    half, step, scale = _half_width(*ratio), _step(*ratio), min(1.0, up / down)
    begin = first * down // up
    span = (last - 1) * down // up - begin + 2 * half + 2
    with torch.inference_mode(False), torch.no_grad():
        inputs = torch.arange(span, dtype=torch.float64)[:, None] - half + begin
        ahead = inputs - torch.arange(first, last, dtype=torch.float64)[None] * down / up
        away = ahead.abs()
        # The nearest input on either side lies right in both forms; those behind it follow in steps.
        behind = torch.where(ahead > 0, away.ceil() - 1, away.floor())
        x = scale * (away - behind) + step * behind
        return (scale * _windowed_sinc(x)).to(device=device, dtype=dtype)


def _windowed_sinc(x: Tensor) -> Tensor:
    """The filter at `x` zero crossings of the lower rate from its middle."""
    inside = (1 - (x / ZERO_CROSSINGS).square()).clamp(min=0)
    window = torch.special.i0(KAISER_BETA * inside.sqrt()) / torch.special.i0(x.new_tensor(KAISER_BETA))
    filtered: Tensor = ROLLOFF * torch.sinc(ROLLOFF * x) * window * (x.abs() <= ZERO_CROSSINGS)
    return filtered
