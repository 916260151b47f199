"""The classes as package data, with their origin. Imports no torch."""

from __future__ import annotations

from avseg.data.tables import class_rows


def aviseg_classes() -> tuple[str, ...]:
    """The 26 names of AVISeg; the first has the class id 1."""
    return tuple(row["name"] for row in class_rows("aviseg"))


def aviseg_palette() -> tuple[tuple[int, int, int], ...]:
    """RGB of the 26 classes of AVISeg."""
    return tuple((red, green, blue) for red, green, blue in (row["rgb"] for row in class_rows("aviseg")))
