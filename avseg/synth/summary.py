"""What was written of the synthetic world."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TRUTH_VERSION = 1
"""`format_version` of `truth.json`."""
VPO_SETS = ("vpo_ss", "vpo_ms", "vpo_msmi")
"""Written by `avseg.synth.vpo`."""


@dataclass(frozen=True)
class WriteSummary:
    """What was written."""

    kind: str
    root: Path
    counts: dict[str, int]
    """Clips per split."""
    seconds: float

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {split}" for split, count in self.counts.items())
        total = sum(self.counts.values())
        return f"{total} clips ({counts}) in the layout of {self.kind} written to {self.root} in {self.seconds:.1f} s"
