"""Lines over a few named places, as SVG: a picture of a table that needs no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 44, 52
COLOURS = ("#3a78b8", "#d1711d", "#8a5bb0", "#3d8a4f")
_MARKS = ("M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0", "M-5,-5h10v10h-10z", "M0,-6l6,11h-12z", "M0,-7l6,7l-6,7l-6,-7z")


@dataclass(frozen=True)
class Curve:
    """One line of a plot: its name, a value for each place, and how far values scatter around it."""

    name: str
    values: Sequence[float]
    spread: Sequence[float] = ()
    """Half the length of the bar at each value; none without them."""


def line_plot(title: str, places: Sequence[str], lines: Sequence[Curve], axis: str, value: str) -> str:
    """An SVG file's text.

    Args:
        title: written above.
        places: names along the horizontal axis, evenly spaced.
        lines: at most four, told apart by colour and mark.
        axis, value: words at the horizontal and the vertical axis.

    Raises:
        ValueError: no place, no line or too many, or a line with another number of values than there are places.
    """
    if not places or not 1 <= len(lines) <= len(COLOURS):
        raise ValueError(f"a plot of {len(lines)} lines over {len(places)} places; wanted 1 to 4 over 1 or more")
    for line in lines:
        if len(line.values) != len(places) or len(line.spread) not in (0, len(places)):
            raise ValueError(f"the line {line.name!r} has {len(line.values)} values for {len(places)} places")
    lowest, highest, step = _range(lines)

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(places)

    def y(number: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (highest - number) / (highest - lowest)

    parts = [_words(WIDTH / 2, 22, title, "middle", 15), _words(WIDTH / 2, HEIGHT - 10, axis, "middle")]
    parts.append(f'<g transform="translate(16 {HEIGHT / 2}) rotate(-90)">{_words(0, 0, value, "middle")}</g>')
    for tick in range(round((highest - lowest) / step) + 1):
        number = lowest + tick * step
        parts.append(f'<path d="M{LEFT},{y(number):.1f}H{WIDTH - RIGHT}" stroke="#d5dae0"/>')
        parts.append(_words(LEFT - 8, y(number) + 4, f"{number:.2f}", "end"))
    parts += [_words(x(place), HEIGHT - 32, name, "middle") for place, name in enumerate(places)]
    for number, line in enumerate(lines):
        # Side by side, so that bars of one place do not hide each other.
        aside = 6 * (number - (len(lines) - 1) / 2)
        points = [(x(place) + aside, y(value)) for place, value in enumerate(line.values)]
        reach = [(HEIGHT - TOP - BOTTOM) * spread / (highest - lowest) for spread in line.spread or [0.0] * len(places)]
        parts.append(_drawn(number, points, reach))
        parts.append(_key(number, line.name))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title, quote=True)}" font-family="system-ui, sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _range(lines: Sequence[Curve]) -> tuple[float, float, float]:
    """Lowest and highest value of the vertical axis, and the step of its ticks."""
    ends = [
        v + s * sign
        for line in lines
        for v, s in zip(line.values, line.spread or [0.0] * len(line.values), strict=True)
        for sign in (-1, 1)
    ]
    low, high = min(ends), max(ends)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 7), 1.0)
    bottom = step * (low // step)
    top = step * -(-high // step)
    return bottom, max(top, bottom + step), step


def _drawn(number: int, points: Sequence[tuple[float, float]], reach: Sequence[float]) -> str:
    """The line with a mark and a bar at each of its points."""
    colour, mark = COLOURS[number], _MARKS[number]
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    bars = "".join(f"M{x:.1f},{y - r:.1f}V{y + r:.1f}" for (x, y), r in zip(points, reach, strict=True) if r)
    marks = "".join(f'<path d="{mark}" transform="translate({x:.1f} {y:.1f})" fill="{colour}"/>' for x, y in points)
    return f'<path d="{path}{bars}" fill="none" stroke="{colour}" stroke-width="2"/>{marks}'


def _key(number: int, name: str) -> str:
    """Legend of the lines, in the lower left corner of the plot."""
    y = HEIGHT - BOTTOM - 12 - 18 * number
    mark = f'<path d="{_MARKS[number]}" transform="translate({LEFT + 14} {y - 4})" fill="{COLOURS[number]}"/>'
    return mark + _words(LEFT + 26, y, name, "start")


def _words(x: float, y: float, text: str, anchor: str, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#1b1f24">{escape(text)}</text>'
    )
