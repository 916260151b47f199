"""Parsing of the wanted part of a video, and suffixes of videos and pictures. Imports no torch."""

from __future__ import annotations

import math
import re

from avseg.config import as_number

STILLS = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
"""Suffixes of files of one picture."""
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .m2ts .mts .wmv .flv .ogv .3gp".split()  # noqa: SIM905  one line
)
"""Suffixes of the files in a folder that count as videos."""
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")


def part_of(start: float | str | None, end: float | str | None) -> tuple[float, float] | None:
    """Begin and end in s, the end perhaps infinite; None: all.

    Raises:
        ValueError: times that are none, or an end that is not after the start.
    """
    if start is None and end is None:
        return None
    begin = 0.0 if start is None else seconds_of(start, "start")
    stop = math.inf if end is None else seconds_of(end, "end")
    if stop <= begin:
        raise ValueError(f"end {stop:g} s is not after start {begin:g} s; give an end after the start")
    return begin, stop


def seconds_of(time: float | str, name: str) -> float:
    """s, of a number or of `62.5`, `1:02.5` or `0:01:02.5`.

    Raises:
        ValueError: neither; the sentence calls it `name`.
    """
    given = _of_clock(time) if isinstance(time, str) else as_number(time)
    if not 0 <= given < math.inf:
        raise ValueError(f"{name} is {time!r}, wanted seconds from the beginning, such as 62.5 or 1:02.5")
    return given


def _of_clock(text: str) -> float:
    """Return the seconds of `1:02.5`; NaN if it is not a time."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return math.nan
    hours, minutes, seconds = found[1], float(found[2] or 0), float(found[3])
    if (found[2] and seconds >= 60) or (hours and minutes >= 60):
        return math.nan
    return 3600 * float(hours or 0) + 60 * minutes + seconds
