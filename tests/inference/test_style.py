"""Styles of the overlay: what is painted, what becomes of the rest, where the list stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avseg.inference.export.style import Style
from avseg.render.legend import Line, legend
from avseg.render.overlay import Paint, overlay

COLOURS = np.array([(0, 0, 0)] + [(255, 0, 0)] * 255, np.uint8)
INSIDE = np.zeros((200, 320), bool)
INSIDE[60:140, 100:220] = True
LABELS = INSIDE.astype(np.uint8)
EDGE = INSIDE.copy()
EDGE[64:136, 104:216] = False


def picture() -> np.ndarray:
    """(H, W, 3) coloured noise."""
    return np.random.default_rng(1).integers(0, 255, (*LABELS.shape, 3), dtype=np.uint8)


def painted(style: Style, **more: Any) -> np.ndarray:
    return Paint(LABELS, {}, COLOURS, style.opacity, **looks(style), **more).on(picture())


def looks(style: Style) -> dict[str, Any]:
    return {"silent": style.silent, "corner": style.legend, "scale": style.type_size}


def test_the_plain_style_is_what_it_was() -> None:
    assert (painted(Style()) == overlay(picture(), LABELS, {}, COLOURS)).all()


def test_opacity_covers_and_none_leaves_outlines() -> None:
    core = INSIDE & ~EDGE
    assert (painted(Style(opacity=0))[core] == picture()[core]).all()
    assert (painted(Style(opacity=1))[core] == (254, 0, 0)).all() or (
        painted(Style(opacity=1))[core] == (255, 0, 0)
    ).all()
    line = (painted(Style(opacity=0)) != picture()).any(2) & INSIDE
    assert line.any() and not (line & core).any()


@pytest.mark.parametrize("silent", ["grey", "blur", "dark"])
def test_what_is_silent_is_quietened_and_nothing_else(silent: Any) -> None:
    style = Style(opacity=0, silent=silent)
    shown, before = painted(style).astype(int), picture().astype(int)
    core, outside = INSIDE & ~EDGE, ~INSIDE
    outside[56:144, 96:224] = False
    assert (shown[core] == before[core]).all()
    there, was = shown[outside], before[outside]
    if silent == "grey":
        assert (there == there[:, :1]).all() and abs(there.mean() - was.mean()) < 5
    elif silent == "blur":
        assert there.std() < was.std() / 4 and abs(there.mean() - was.mean()) < 2
    else:
        assert there.max() <= 63 and there.mean() > 0


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [
        ("top-left", slice(0, 20), slice(0, 20)),
        ("top-right", slice(0, 20), slice(-20, None)),
        ("bottom-left", slice(-20, None), slice(0, 20)),
        ("bottom-right", slice(-20, None), slice(-20, None)),
    ],
)
def test_the_list_stands_in_its_corner(corner: Any, rows: slice, columns: slice) -> None:
    listed = [Line("1 dog 0.9", (255, 0, 0), True)]
    changed = (painted(Style(legend=corner), listed=listed) != painted(Style(legend="none"), listed=listed)).any(2)
    assert changed[rows, columns].mean() > 0.9
    changed[rows, columns] = False
    others = [changed[r, c].any() for r in (slice(0, 9), slice(-9, None)) for c in (slice(0, 9), slice(-9, None))]
    assert not any(others)
    assert (painted(Style(legend="none"), listed=listed) == painted(Style())).all()


def test_letters_grow() -> None:
    def tile(scale: float) -> int:
        style = Style(type_size=scale)
        named = Paint(LABELS, {1: "dog"}, COLOURS, style.opacity, **looks(style)).on(picture())
        return int((named != painted(style)).any(2).sum())

    assert tile(0.5) < tile(1) < tile(2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"opacity": 1.5}, "opacity of an overlay is 1.5, wanted a number from 0 to 1"),
        ({"opacity": float("nan")}, "opacity of an overlay is nan"),
        ({"type_size": 0}, "type size of an overlay is 0 times"),
    ],
)
def test_numbers_that_cannot_be(words: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Style(**words)


def test_names_are_whole_however_large_they_are_wanted() -> None:
    """Letters grow until the name is as wide as the picture, and no further."""
    labels = np.zeros((120, 160), np.uint8)
    labels[60:110, 30:120] = 1
    ground = np.zeros((120, 160, 3), np.uint8)
    names, colours = {1: "1 acoustic guitar 0.91"}, np.array([(0, 0, 0)] + [(0, 0, 255)] * 255, np.uint8)
    shown = {scale: Paint(labels, names, colours, 1.0, scale=scale).on(ground) for scale in (0.25, 1.0, 3.0, 8.0)}
    assert (shown[3.0] == shown[8.0]).all()
    for picture in shown.values():
        tag = picture[: 60 - 2]
        rows, columns = np.nonzero((tag > 100).any(2))
        ink = np.nonzero((tag > 100).all(2))
        assert columns.min() < ink[1].min() and ink[1].max() < columns.max()  # a margin on both sides
        assert rows.max() - rows.min() < 120 / 6
    widths = [np.ptp(np.nonzero((picture[:58] > 100).any(2))[1]) for picture in shown.values()]
    assert widths[0] < widths[1] < widths[2] > 0.8 * 160


@pytest.mark.parametrize("size", [(640, 240), (2160, 3840), (360, 1280)])
def test_the_list_takes_smaller_letters_where_it_has_no_room(size: tuple[int, int]) -> None:
    lines = tuple(Line(text, (255, 0, 0), True) for text in ("1 acoustic guitar 0.91", "2 woman 0.84"))
    usual, large = legend(lines, size), legend(lines, size, 8.0)
    assert usual is not None and large is not None and legend(lines, (60, 80)) is None
    for found in (usual, large):
        assert found.shape[0] <= 0.75 * size[0] and found.shape[1] <= 0.6 * size[1]


def test_outlines_alone_are_two_pixels_at_least() -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[40:80, 40:80] = 1
    ground = np.zeros((120, 160, 3), np.uint8)
    widths = [int((Paint(labels, {}, COLOURS, alpha).on(ground)[60, :60, 0] == 255).sum()) for alpha in (0.45, 0)]
    assert widths == [1, 2]
