"""The rows of an explanation's chart, read off its plain JSON
(docs/reference/result.md); what is missing is passed over."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from avseg.render.timescale import TimeCell, clock, stretch

MOST_TAGS, MOST_NOUNS, MOST_OBJECTS = 12, 24, 40
MOST_CELLS = 240
"""Largest number of cells in a row; for longer videos a cell covers several seconds and shows their largest value."""
LEAST_DECIBELS = -60.0
"""Loudness in dBFS at which a cell has no colour."""

Value = tuple[int, float]
"""A second and its value."""


def records(of: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list of an explanation; an empty list if it is missing."""
    found = of.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, Sequence) else []


def heard_rows(seconds: Sequence[Mapping[str, Any]], duration: float) -> Iterator[tuple[str, list[TimeCell]]]:
    """Return the row of loudness, then the rows of the sounds with the highest probability."""
    loud = [(_number(one), float(one["decibels"])) for one in seconds if one.get("decibels") is not None]
    shares = [(second, 1 - value / LEAST_DECIBELS, f"{value:.0f} dBFS", f"{value:.0f}") for second, value in loud]
    yield "loudness, dBFS", _cells(shares, duration)
    tags = _values(seconds, "tags")
    best = sorted(tags, key=lambda name: -max(value for _, value in tags[name]))
    for name in best[:MOST_TAGS]:
        yield name, _cells([(s, value, f"{name} {value:.2f}", f"{value:.2f}") for s, value in tags[name]], duration)
    if len(best) > MOST_TAGS:
        yield f"and {len(best) - MOST_TAGS} more", []


def noun_rows(seconds: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[TimeCell]]]:
    """Return the sounding nouns in the order of their start, each with its spans."""
    nouns = _values(seconds, "nouns")
    for name, values in list(nouns.items())[:MOST_NOUNS]:
        spans: list[list[Value]] = []
        for second, value in values:
            if spans and spans[-1][-1][0] == second - 1:
                spans[-1].append((second, value))
            else:
                spans.append([(second, value)])
        yield (
            name,
            [
                TimeCell(span[0][0], span[-1][0] + 1, f"{name}, at best {max(value for _, value in span):.2f}")
                for span in spans
            ],
        )
    if len(nouns) > MOST_NOUNS:
        yield f"and {len(nouns) - MOST_NOUNS} more", []


def object_rows(sounding: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str, list[TimeCell]]]:
    """Return number, name and spans of every marked object."""
    told = [one for one in sounding if one["intervals"]]
    for one in told[:MOST_OBJECTS]:
        name = f"{one['id']} {one['class']} {one['score']:.2f}" if "score" in one else one["class"]
        cells = [TimeCell(begin, end, f"{name}, {stretch(begin, end)}") for begin, end in one["intervals"]]
        yield one["id"], name, cells
    if len(told) > MOST_OBJECTS:
        yield 0, f"and {len(told) - MOST_OBJECTS} more", []


def find_texts(track: Mapping[str, Any], find: Mapping[str, Any]) -> str:
    """Return `person 0.53`, or `person (woman) 0.53` if the finder searched for a more specific noun."""
    noun, name = str(track.get("noun", "")), str(track.get("class", ""))
    more = f" ({name})" if name not in ("", noun) else ""
    return f"{noun}{more} {float(find.get('score', 0.0)):.2f}"


def _cells(values: Sequence[tuple[int, float, str, str]], duration: float) -> list[TimeCell]:
    """Return cells (second, share, title, text); several seconds share a cell if there are too many."""
    width = max(1, math.ceil(duration / MOST_CELLS))
    best: dict[int, tuple[int, float, str, str]] = {}
    for value in values:
        place = value[0] // width
        if place not in best or value[1] > best[place][1]:
            best[place] = value
    return [
        TimeCell(place * width, (place + 1) * width, f"{title} at {clock(second)}", share, text)
        for place, (second, share, title, text) in sorted(best.items())
    ]


def _values(seconds: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[Value]]:
    """Group values by name, in order of appearance."""
    found: dict[str, list[Value]] = {}
    for one in seconds:
        for name, value in one.get(key) or ():
            found.setdefault(str(name), []).append((_number(one), float(value)))
    return found


def _number(second: Mapping[str, Any]) -> int:
    return int(second.get("second", 0))
