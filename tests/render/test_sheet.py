"""Contact sheets and timelines: pictures where they belong, bars as long as their spans."""

from __future__ import annotations

import numpy as np
import pytest

from avseg.render.sheet import LETTERS, Bar, contact_sheet, stacked_pictures, timeline

RED, BLUE = (200, 30, 30), (30, 30, 200)


def test_pictures_stand_in_rows_and_large_ones_are_made_smaller() -> None:
    pictures = [np.full((40, 80, 3), 20 * i, np.uint8) for i in range(5)]
    sheet = contact_sheet(pictures, [f"{i}.0 s" for i in range(5)], columns=3, tile=40)
    row = 20 + LETTERS + 8
    assert sheet.shape == (2 * row, 3 * 40 + 2 * 6, 3)
    for i in range(5):
        top, left = i // 3 * row, i % 3 * 46
        assert (sheet[top : top + 20, left : left + 40] == 20 * i).all()
        assert (sheet[top + 20 : top + row, left : left + 40] < 200).any()  # its caption
    assert contact_sheet(pictures[:1], ["one"], tile=400).shape[1] == 80
    for wrong in ([], pictures[:2]):
        with pytest.raises(ValueError, match="wanted one for each"):
            contact_sheet(wrong, ["one"])


def columns_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(-1).any(0).nonzero()[0]


def test_bars_are_as_long_as_their_spans() -> None:
    whole = timeline([Bar("dog", RED, [(0.0, 10.0)])], 10.0, width=500)
    columns = columns_of(whole, RED)
    first, length = columns.min(), len(columns)
    found = timeline([Bar("dog", RED, [(0.0, 2.5), (5.0, 20.0)]), Bar("cat", BLUE, [])], 10.0, width=500)
    columns = columns_of(found, RED)
    assert columns.min() == first and columns.max() == first + length - 1
    assert len(columns) == pytest.approx(0.75 * length, abs=4) and not len(columns_of(found, BLUE))
    assert found.shape[0] > whole.shape[0] and found.shape[1] == 500


def test_long_names_leave_room_for_bars_and_nothing_is_a_picture_too() -> None:
    found = timeline([Bar("a name that goes on and on " * 5, RED, [(0.0, 1.0)])], 1.0, width=400)
    assert len(columns_of(found, RED)) > 0.5 * 400
    assert timeline([], 0.0, width=300).shape[1] == 300


def test_parts_are_put_below_each_other_on_white() -> None:
    parts = [np.zeros((4, 10, 3), np.uint8), np.zeros((3, 6, 3), np.uint8)]
    found = stacked_pictures(parts, margin=2)
    assert found.shape == (9, 10, 3) and (found[4:6] == 255).all() and (found[6:, 6:] == 255).all()
    assert (found[:4] == 0).all() and (found[6:, :6] == 0).all()
