"""The summary of a written synthetic data set. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avseg.io.files import clear_stale

TRUTH_VERSION = 1
"""`format_version` of `truth.json`."""
MOST_CLIPS = 1_000_000
"""On disk; more would be a slip of the keyboard."""


@dataclass(frozen=True)
class WriteSummary:
    """The outcome of writing."""

    name: str
    """The data set."""
    root: Path
    counts: dict[str, int]
    """Clips per split."""
    seconds: float

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {split}" for split, count in self.counts.items())
        total = sum(self.counts.values())
        return f"{total} clips ({counts}) in the layout of {self.name} written to {self.root} in {self.seconds:.1f} s"


def begin(root: Path, clips: int, least: int = 3) -> None:
    """Refuse a number of clips that cannot be written, and remove what a killed writer left half-written.

    Raises:
        ValueError: fewer clips than `least`, or more than a million.
    """
    if clips > MOST_CLIPS:
        raise ValueError(f"got {clips} clips, wanted at most {MOST_CLIPS}")
    clear_stale(Path(root), below=True)
    if clips < least:
        raise ValueError(f"got {clips} clips, wanted at least {least}, one for each split")
