"""Scores of several metrics by name, and the report of an evaluation (docs/reference/metrics.md)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from avseg.config import to_dict
from avseg.data.config import DataConfig
from avseg.engines.records import EXACT, Choice
from avseg.io.files import write_text
from avseg.metrics.base import Metric, Row
from avseg.version import __version__

FORMAT_VERSION = 2

OF_THE_CLIP = ("index", "id")
"""Entries of a row other than scores."""


def computed(metrics: Sequence[Metric]) -> dict[str, float]:
    """All scores by name: `suite/protocol/score`, without the suite where there is one, nor the protocol.

    Raises:
        ValueError: two metrics give one name, or there is no metric.
    """
    if not metrics:
        raise ValueError("no metric given; use those of avseg.metrics.SUITES")
    scores: dict[str, float] = {}
    for metric, prefix in zip(metrics, prefixes(metrics), strict=True):
        for name, value in metric.compute().items():
            if prefix + name in scores:
                raise ValueError(f"two metrics give the score {prefix + name!r}; evaluate them one after the other")
            scores[prefix + name] = value
    return scores


def merged_rows(metrics: Sequence[Metric]) -> list[Row]:
    """The rows of several metrics, one per clip, their scores named as those of `computed`."""
    rows: dict[float | int | str, Row] = {}
    for metric, prefix in zip(metrics, prefixes(metrics), strict=True):
        for row in metric.rows():
            named = {name if name in OF_THE_CLIP else prefix + name: value for name, value in row.items()}
            rows.setdefault(row["index"], {}).update(named)
    return list(rows.values())


def prefixes(metrics: Sequence[Metric]) -> list[str]:
    """Return the prefixes of each metric's scores, which separate suites and protocols."""
    several_suites = len({metric.suite for metric in metrics}) > 1
    several_protocols = len({metric.protocol for metric in metrics}) > 1
    return [
        (f"{metric.suite}/" if several_suites else "") + (f"{metric.protocol}/" if several_protocols else "")
        for metric in metrics
    ]


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
    """The file of the model, or of the predictions."""
    data: DataConfig
    split: str
    seconds: float
    weights: dict[str, str] = field(default_factory=dict)
    """See `avseg.config.ModelConfig.origins`."""
    choice: Choice = EXACT
    """Engine and precision of the predictions."""
    main: bool = True
    """False in all but the first of several processes, which alone writes and prints."""

    @classmethod
    def of(
        cls,
        metrics: Sequence[Metric],
        model: str | PathLike[str],
        data: DataConfig,
        split: str,
        seconds: float,
        main: bool,
    ) -> Report:
        """Make the report from metrics that have processed all clips.

        Raises:
            ValueError: two metrics give one name, or there is no metric.
        """
        return cls(
            protocols=tuple(dict.fromkeys(metric.protocol for metric in metrics)),
            suites=tuple(dict.fromkeys(metric.suite for metric in metrics)),
            scores=computed(metrics),
            rows=merged_rows(metrics),
            model=str(model),
            data=data,
            split=split,
            seconds=seconds,
            main=main,
        )

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
            **({"weights": self.weights} if self.weights else {}),
            **({} if self.choice == EXACT else self.choice.to_dict()),
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
        name = f"{self.data.name} {self.split}, {len(self.rows)} clip{'s' * (len(self.rows) != 1)}"
        name += f", {_listed('suite', self.suites)}, {_listed('protocol', self.protocols)}"
        name += "" if self.choice == EXACT else f", {self.choice.engine} in {self.choice.precision}"
        width = max(len(score) for score in self.scores)
        return "\n".join([name, *(f"  {score:<{width}}  {value:.4f}" for score, value in self.scores.items())])


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' * (len(names) > 1)} {' + '.join(names)}"
