"""Change of sample rate by a windowed sinc, as one matrix product for all clips.

The published front ends resample with resampy's `kaiser_best` (after Smith, "Digital Audio Resampling"), and that
filter changed with version 0.3 of the package. The form "exact" has the filter of the older versions and evaluates it
by its formula at every phase. The package reads its filter off a table and walks it in whole entries, which stretches
the filter when the rate falls: from 44.1 and 48 kHz by 0.4 % in the older versions, by 0.02 % at most in the newer
ones. The forms "resampy_0.2" and "resampy_0.4" repeat that, each with the constants of its versions
(docs/reference/audio.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Form: TypeAlias = Literal["exact", "resampy_0.2", "resampy_0.4"]


@dataclass(frozen=True)
class Filter:
    """A sinc under a Kaiser window."""

    zero_crossings: int
    """On either side of the middle."""
    beta: float
    """Beta of the Kaiser window."""
    rolloff: float
    """Corner as a share of the lower Nyquist rate."""
    table: int | None = None
    """Entries a zero crossing of the table that it is walked in; None: the filter is evaluated by its formula."""


FILTERS: dict[Form, Filter] = {
    "exact": Filter(64, 14.769656459379492, 0.9475937167399596),
    "resampy_0.2": Filter(64, 14.769656459379492, 0.9475937167399596, table=512),  # up to 0.2.2
    "resampy_0.4": Filter(50, 12.984585247040023, 0.9173473712608761, table=8192),  # 0.3.0 to 0.4.3
}
"""Read off the tables in the packages 0.2.2, 0.3.1 and 0.4.3, whose values they give within 1e-15."""

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
        form: "exact", or the versions of resampy whose filter and steps are repeated: "resampy_0.2" (up to 0.2.2) or
            "resampy_0.4" (from 0.3 on).

    Returns:
        (..., S * rate_to // rate_from) of the same dtype; what lies beyond both ends counts as silence.

    Raises:
        ValueError: a rate that is not a positive whole number, another form, or sound that is not floating point.
    """
    for rate in (rate_from, rate_to):
        if rate != int(rate) or rate <= 0:
            raise ValueError(f"sample rate {rate}, wanted a positive whole number of Hz")
    if form not in FILTERS:
        raise ValueError(f"form {form!r} of resampling, wanted one of {', '.join(map(repr, FILTERS))}")
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
    return math.ceil(FILTERS[form].zero_crossings / _step(up, down, form))


def _step(up: int, down: int, form: Form) -> float:
    """Zero crossings of the filter from one input to the next."""
    scale, table = min(1.0, up / down), FILTERS[form].table
    return scale if table is None else math.floor(scale * table) / table


@lru_cache(maxsize=128)
def _filters(ratio: tuple[int, int, Form], first: int, last: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(span, last - first): what each input of a span gives to the outputs `first` to `last` of a frame.

    Inputs count from `first * down // up - half`; phase p lies at input p * down / up.
    """
    up, down, form = ratio
    half, step, scale = _half_width(*ratio), _step(*ratio), min(1.0, up / down)
    begin = first * down // up
    span = (last - 1) * down // up - begin + 2 * half + 2
    with torch.inference_mode(False), torch.no_grad():
        inputs = torch.arange(span, dtype=torch.float64)[:, None] - half + begin
        ahead = inputs - torch.arange(first, last, dtype=torch.float64)[None] * down / up
        away = ahead.abs()
        # The nearest input on either side lies right in every form; those behind it follow in steps.
        behind = torch.where(ahead > 0, away.ceil() - 1, away.floor())
        x = scale * (away - behind) + step * behind
        return (scale * _windowed_sinc(x, FILTERS[form])).to(device=device, dtype=dtype)


def _windowed_sinc(x: Tensor, kind: Filter) -> Tensor:
    """The filter at `x` zero crossings of the lower rate from its middle."""
    inside = (1 - (x / kind.zero_crossings).square()).clamp(min=0)
    window = torch.special.i0(kind.beta * inside.sqrt()) / torch.special.i0(x.new_tensor(kind.beta))
    filtered: Tensor = kind.rolloff * torch.sinc(kind.rolloff * x) * window * (x.abs() <= kind.zero_crossings)
    return filtered
