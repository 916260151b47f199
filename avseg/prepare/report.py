"""Reports on the preparation and the check of a data set's folder. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SHOWN = 10
"""Largest number of faults and notes that a report prints."""


@dataclass
class PrepareReport:
    """The outcome for the clips."""

    done: int = 0
    skipped: int = 0
    """Number of clips finished before."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(clip, reason), in the order of the table."""
    notes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 if a clip failed."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        lines = [f"{self.done} clips made, {self.skipped} finished before, {len(self.failed)} failed"]
        lines += [f"  {name}: {reason}" for name, reason in self.failed]
        lines += [f"  note on {name}: {note}" for name, note in self.notes[:10]]
        return "\n".join(lines)


@dataclass(frozen=True)
class Fault:
    """A clip that cannot be used, or a fault in a file that affects all clips."""

    split: str
    clip: str
    reason: str


@dataclass
class CheckReport:
    """Expected and found clips, and every fault."""

    name: str
    root: Path
    expected: dict[str, int]
    """Expected number of clips in each split; for a synthetic world, from its own table."""
    found: dict[str, int] = field(default_factory=dict)
    """Number of clips in each split of the table."""
    whole: dict[str, int] = field(default_factory=dict)
    """Number of readable clips in each split."""
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    where: str = ""
    """Where the data come from."""
    own: bool = False
    """Whether the folder is checked only against its own table."""

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    def __str__(self) -> str:
        columns = ("listed", "whole") if self.own else ("expected", "listed", "whole")
        lines = [f"{self.name} in {self.root}", f"{'split':8}" + "".join(f"{column:>10}" for column in columns)]
        for split in self.expected:
            counts = (self.expected[split], self.found.get(split, 0), self.whole.get(split, 0))[-len(columns) :]
            lines.append(f"{split:8}" + "".join(f"{count:>10}" for count in counts))
        lines += [f"note: {note}" for note in self.notes]
        if self.ok:
            return "\n".join([*lines, "all files exist and can be read"])
        count = len(self.faults)
        lines.append(f"{count} fault{'s' * (count != 1)}{f', the first {SHOWN}' if count > SHOWN else ''}:")
        lines += [f"  {fault.split} {fault.clip}: {fault.reason}" for fault in self.faults[:SHOWN]]
        return "\n".join([*lines, self.where])
