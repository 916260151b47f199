"""The classes as package data, with their origin. Imports no torch."""

from __future__ import annotations

from avseg.data.tables import class_rows


def single_classes() -> tuple[str, ...]:
    """The 24 names of AVSBench-Single+ by class id; id 0 is background."""
    return tuple(row["name"] for row in class_rows("single"))
