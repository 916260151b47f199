"""The report of a built set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from avseg.datasets.vpo.build.options import FOLDERS
from avseg.datasets.vpo.build.splits import SPLITS


@dataclass
class BuildReport:
    """The outcome of building a set."""

    kind: str
    out: Path
    samples: dict[str, int] = field(default_factory=dict)
    """Pictures of each split, those of VPO-MS that MSMI refers to included."""
    classes: dict[str, int] = field(default_factory=dict)
    """Sounding objects of each class."""
    made: int = 0
    """Pictures written now; the others were finished before."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(sample or clip, reason) of what could not be written."""
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.out / "VPO" / FOLDERS[self.kind]

    @property
    def exit_code(self) -> int:
        """1 if something could not be written."""
        return 1 if self.left_out else 0

    def __str__(self) -> str:
        counts = ", ".join(f"{self.samples.get(split, 0)} {split}" for split in SPLITS)
        lines = [f"{FOLDERS[self.kind]} in {self.folder}: {sum(self.samples.values())} samples ({counts})"]
        lines.append(f"  {self.made} pictures written now; look at {self.folder / 'report.html'}")
        lines.append("  " + ", ".join(f"{name} {count}" for name, count in self.classes.items()))
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  left out {name}: {reason}" for name, reason in self.left_out[:10]]
        if len(self.left_out) > 10:
            lines.append(f"  and {len(self.left_out) - 10} more; the manifest names them all")
        return "\n".join(lines)
