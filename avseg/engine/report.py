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
from avseg.metrics.base import Metric, Row
from avseg.version import __version__

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Report:
    """Scores of one model on one split under one protocol. As text: a table for the terminal."""

    protocol: str
    suite: str
    scores: dict[str, float]
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
            "protocol": self.protocol,
            "suite": self.suite,
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
        """The rows as CSV; every line bears the protocol."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, ["protocol", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"protocol": self.protocol, **row} for row in self.rows)
        return text.getvalue()

    def __str__(self) -> str:
        name = f"{self.data.name} {self.split}, {len(self.rows)} clips, {self.suite}, protocol {self.protocol}"
        width = max(len(score) for score in self.scores)
        return "\n".join([name, *(f"  {score:<{width}}  {value:.4f}" for score, value in self.scores.items())])


def merged_rows(metrics: Sequence[Metric]) -> list[Row]:
    """The rows of several metrics, one per clip."""
    rows: dict[float | int | str, Row] = {}
    for metric in metrics:
        for row in metric.rows():
            rows.setdefault(row["index"], {}).update(row)
    return list(rows.values())
