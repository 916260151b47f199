"""What an evaluation leaves behind: a table, result.json and clips.csv (docs/metrics.md)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avseg.config import to_dict
from avseg.data.config import DataConfig
from avseg.io.files import write_text
from avseg.metrics.base import Row
from avseg.version import __version__

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Report:
    """Scores of one model on one split. As text: a table for the terminal."""

    protocols: tuple[str, ...]
    suites: tuple[str, ...]
    scores: dict[str, float]
    """By name; `suite/protocol/name` where there are several suites and several protocols."""
    rows: list[Row]
    """One row per clip in data-set order."""
    model: str
    data: DataConfig
    split: str
    seconds: float
    main: bool = True
    """False in all but the first of several processes, which alone writes and prints."""

    def to_dict(self) -> dict[str, Any]:
        """The content of result.json; a score that is not a number becomes null."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": "avseg.evaluation",
            "protocols": list(self.protocols),
            "suites": list(self.suites),
            "scores": {name: None if math.isnan(value) else value for name, value in self.scores.items()},
            "clips": len(self.rows),
            "model": self.model,
            "data": {**to_dict(self.data), "split": self.split},
            "seconds": round(self.seconds, 3),
            "version": __version__,
        }

    def write(self, out: Path) -> None:
        """Write result.json and clips.csv into a folder, each whole."""
        write_text(out / "clips.csv", self.csv())
        write_text(out / "result.json", json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    def csv(self) -> str:
        """The rows as CSV; every line bears the protocols."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, ["protocols", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"protocols": "+".join(self.protocols), **row} for row in self.rows)
        return text.getvalue()

    def __str__(self) -> str:
        name = f"{self.data.name} {self.split}, {len(self.rows)} clips, {_listed('suite', self.suites)}"
        name += f", {_listed('protocol', self.protocols)}"
        width = max(len(score) for score in self.scores)
        return "\n".join([name, *(f"  {score:<{width}}  {value:.4f}" for score, value in self.scores.items())])


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' * (len(names) > 1)} {' + '.join(names)}"
