"""The options of AVSBench-Single+. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class SingleConfig(DataConfig):
    """AVSBench-Single+."""

    name: str = "single"
    binary: bool = False
    """Treat every class as foreground; `target.sounding` still has the classes."""
