"""Rows over one axis of time, as SVG inside a page: a picture, strips of values, bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 1040, 190, 16
"""Widths of the drawing, of the names on the left and of the rest on the right."""
ROW, GAP = 22, 4
LONGEST = 24
"""Characters of a name that have room."""
WIDE = 34
"""Cells of at least this width bear their value."""
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 12
SHORT = 10.0
"""Seconds; the ends of shorter stretches are shown with a tenth."""


@dataclass(frozen=True)
class TimeCell:
    """A stretch of time with or without a value, and its tooltip."""

    begin: float
    """s."""
    end: float
    title: str = ""
    share: float = 1.0
    """0 to 1, how strong its colour is."""
    text: str = ""
    """Stands in it where there is room."""


class TimeChart:
    """Builds a drawing row by row. Text is escaped; colours are those of `avseg.render.report.Page`."""

    def __init__(self, duration: float) -> None:
        """`duration`: s, the length of the axis."""
        self._duration = max(duration, 0.001)
        self._parts: list[str] = []
        self._height = 6

    def heading(self, text: str) -> None:
        """A line of words above rows."""
        self._parts.append(_words(0, self._height + 18, text, size=14, bold=True))
        self._height += 26

    def picture(self, name: str, source: str, seconds: float, height: int = 110) -> None:
        """A picture from 0 to `seconds` s; `source`: a data URI."""
        self._name(name, height)
        width = self._x(min(seconds, self._duration)) - LEFT
        self._parts.append(
            f'<image href="{escape(source, quote=True)}" x="{LEFT}" y="{self._height}" width="{width:.1f}" '
            f'height="{height}" preserveAspectRatio="none"/>'
        )
        self._height += height + GAP

    def strip(self, name: str, cells: Sequence[TimeCell]) -> None:
        """Cells whose colour is as strong as their share."""
        self._name(name, ROW)
        width = WIDTH - LEFT - RIGHT
        self._parts.append(
            f'<rect x="{LEFT}" y="{self._height}" width="{width}" height="{ROW}" style="fill: var(--card)"/>'
        )
        for cell in cells:
            self._cell(cell, "var(--heat)", max(0.0, min(cell.share, 1.0)))
        self._height += ROW + GAP

    def bars(self, name: str, cells: Sequence[TimeCell], colour: str) -> None:
        """Bars of one colour (CSS)."""
        self._name(name, ROW)
        for cell in cells:
            self._cell(cell, colour, 1.0)
        self._height += ROW + GAP

    def svg(self, label: str) -> str:
        """The drawing with its axis; `label` says what it shows.

        Scripts find time by the attributes data-begin and data-end (x of the ends of the axis) and data-seconds.
        """
        bottom = self._height
        lines = "".join(
            f'<path d="M{self._x(t):.1f},0V{bottom}" style="stroke: var(--line)"/>'
            f"{_words(self._x(t), bottom + 16, clock(t), anchor='middle')}"
            for t in ticks_of(self._duration)
        )
        title = escape(label, quote=True)
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + 24}" role="img" aria-label="{title}" '
            f'data-begin="{LEFT}" data-end="{WIDTH - RIGHT}" data-seconds="{self._duration:.3f}">'
            f"{lines}{''.join(self._parts)}</svg>"
        )

    def _x(self, time: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * time / self._duration

    def _name(self, name: str, height: int) -> None:
        short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        words = _words(LEFT - 10, self._height + height / 2 + 4.5, short, anchor="end")
        self._parts.append(f"<g><title>{escape(name)}</title>{words}</g>")

    def _cell(self, cell: TimeCell, colour: str, opacity: float) -> None:
        left, right = (self._x(min(max(time, 0.0), self._duration)) for time in (cell.begin, cell.end))
        if right <= left:
            return
        width = max(right - left - 1, 0.8)
        style = f"fill: {escape(colour, quote=True)}; fill-opacity: {opacity:.3f}"
        rect = f'<rect x="{left:.1f}" y="{self._height}" width="{width:.1f}" height="{ROW}" style="{style}"/>'
        text = ""
        if cell.text and width >= WIDE:
            text = _words((left + right) / 2, self._height + ROW / 2 + 4, cell.text, anchor="middle", size=11)
        self._parts.append(f"<g><title>{escape(cell.title)}</title>{rect}{text}</g>")


def ticks_of(duration: float, most: int = MOST_TICKS) -> list[float]:
    """s, where marks stand on an axis from 0 to `duration` s: in steps that read well, about `most` at most."""
    step = next((s for s in _STEPS if duration / s <= most), 3600.0 * math.ceil(duration / 3600 / most))
    return [number * step for number in range(int(duration / step + 1e-9) + 1)]


def clock(seconds: float, *, tenths: bool = False) -> str:
    """`3.2 s`, from a minute on `1:03`, or with tenths `1:03.4`."""
    if seconds < 60:
        return f"{round(seconds, 1):g} s"
    whole, part = divmod(round(seconds * 10), 10) if tenths else (round(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    told = f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
    return f"{told}.{part}" if tenths else told


def stretch(begin: float, end: float) -> str:
    """`3.2 s to 4 s`, `1:03 to 1:40`; with tenths where it is short, so that its ends differ."""
    short = end - begin < SHORT
    return f"{clock(begin, tenths=short)} to {clock(end, tenths=short)}"


def _words(x: float, y: float, text: str, anchor: str = "start", size: int = 13, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{weight} style="fill: var(--ink)">'
        f"{escape(text)}</text>"
    )
