"""The classes as package data, with their origin. Imports no torch."""

from __future__ import annotations

from avseg.data.tables import class_rows


def s4_categories() -> tuple[str, ...]:
    """The 23 categories of S4."""
    return tuple(row["name"] for row in class_rows("avsbench", "categories"))
