"""A plot is one well-formed picture in which higher values stand higher."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from avseg.render.plot import HEIGHT, WIDTH, Curve, line_plot

PLACES = ("clean", "20 dB", "0 dB")


def drawn(lines: list[Curve]) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(line_plot("J & <noise>", PLACES, lines, "SNR", "J")))


def test_every_value_has_a_mark_at_its_height() -> None:
    parts = drawn([Curve("a", (0.8, 0.7, 0.5), (0.01, 0.02, 0.0)), Curve("b", (0.7, 0.4, 0.3))])
    marks = [part.attrib["transform"] for part in parts if part.tag.endswith("path") and "transform" in part.attrib]
    places = [tuple(map(float, re.findall(r"[\d.]+", mark))) for mark in marks]
    first, second = places[:3], places[4:7]  # after each line comes its key
    assert first[0][1] < first[1][1] < first[2][1] and first[0][0] < first[1][0] < first[2][0]
    assert first[1][1] == pytest.approx(second[0][1], abs=0.1) and first[0][0] < second[0][0]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in places)


def test_words_are_escaped_and_bars_follow_the_spread() -> None:
    text = line_plot("J & <noise>", PLACES, [Curve("a", (0.8, 0.7, 0.5), (0.1, 0.1, 0.0))], "SNR", "J")
    assert "J &amp; &lt;noise&gt;" in text and "<noise>" not in text
    path = next(p.attrib["d"] for p in ElementTree.fromstring(text) if p.attrib.get("stroke-width") == "2")
    ends = [tuple(map(float, ends)) for ends in re.findall(r"M[\d.]+,([\d.]+)V([\d.]+)", path)]
    assert len(ends) == 2 and ends[0][1] - ends[0][0] == pytest.approx(ends[1][1] - ends[1][0], abs=0.2)


def test_equal_values_have_an_axis_too() -> None:
    assert drawn([Curve("a", (0.5, 0.5, 0.5))])


def test_lines_and_places_must_fit() -> None:
    with pytest.raises(ValueError, match="2 values for 3 places"):
        line_plot("t", PLACES, [Curve("a", (0.1, 0.2))], "x", "y")
    with pytest.raises(ValueError, match="wanted 1 to 4"):
        line_plot("t", PLACES, [], "x", "y")
