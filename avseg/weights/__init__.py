"""Published weights: their records (`RECORDS`), and identification of files (`recognise`). Imports no torch."""

from __future__ import annotations

from typing import Any

from avseg.models.record import Record
from avseg.weights.matching import Match, recognise
from avseg.weights.records import known

__all__ = ["RECORDS", "Match", "Record", "recognise"]


def __getattr__(name: str) -> Any:
    if name == "RECORDS":  # those of families that are added later too
        return known()
    raise AttributeError(f"module 'avseg.weights' has no attribute {name!r}")
