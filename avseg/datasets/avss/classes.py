"""The classes as package data, with their origin. Imports no torch."""

from __future__ import annotations

from avseg.data.tables import class_rows


def avss_classes() -> tuple[str, ...]:
    """The 71 names of AVSS by class id; id 0 is background."""
    return tuple(row["name"] for row in class_rows("avss"))


def avss_palette() -> tuple[tuple[int, int, int], ...]:
    """RGB of the 71 classes of AVSS in its label pictures."""
    return tuple((red, green, blue) for red, green, blue in (row["rgb"] for row in class_rows("avss")))
