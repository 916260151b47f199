"""Reading the scores in the folder of an evaluation, with intervals over clips."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avseg.engine.evaluation.intervals import figure_intervals
from avseg.engine.evaluation.report import prefixes
from avseg.metrics.base import Resampled
from avseg.metrics.bootstrap import bootstrap_interval
from avseg.metrics.stored import SUMS, read_sums

KIND = "avseg.evaluation"
TABLE = "clips.csv"


@dataclass(frozen=True)
class ScoredFigure:
    """One score of a data set."""

    name: str
    value: float
    mean: float = math.nan
    """Over the clips that have a score of this name of their own, which may be another figure than `value`."""
    low: float = math.nan
    high: float = math.nan
    """The ends of the 95 % interval of that mean; NaN where fewer than two clips have one."""
    ends: tuple[float, float] | None = None
    """Ends of the 95 % interval of `value` itself; None without the sums of the clips, or with few clips."""


@dataclass(frozen=True)
class Scored:
    """The content of a result.json and its clips.csv."""

    model: str
    data: str
    split: str
    protocols: tuple[str, ...]
    suites: tuple[str, ...]
    clips: int
    figures: tuple[ScoredFigure, ...]


def read_scores(path: str | Path, seed: int = 0) -> Scored:
    """The scores of `avseg evaluate --out FOLDER`.

    Args:
        path: result.json, or the folder that holds it. Where clips.csv lies beside it, means over clips have intervals;
            where sums.npz does, the scores themselves.
        seed: Of the intervals.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another file, or a table of clips that does not belong to it.
    """
    path = Path(path)
    path = path / "result.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file of scores {path}; avseg evaluate ... --out FOLDER writes result.json"
        )
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["kind"] != KIND:
            raise ValueError(f"its kind is {told['kind']!r}")
        table = _columns(path.with_name(TABLE), int(told["clips"]))
        ends = _ends(path.with_name(SUMS), told, seed)
        figures = tuple(
            replace(_figure(name, float(value), table.get(name, []), seed), ends=ends.get(name))
            for name, value in told["scores"].items()
            if value is not None
        )
        data: dict[str, Any] = told["data"]
        protocols, suites = tuple(told["protocols"]), tuple(told["suites"])
        return Scored(told["model"], data["name"], data["split"], protocols, suites, told["clips"], figures)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} holds no scores of avseg evaluate ({error}); give the result.json written by --out FOLDER"
        ) from error


def _ends(path: Path, told: dict[str, Any], seed: int) -> dict[str, tuple[float, float]]:
    """By the name of a score the ends of its interval.

    Raises:
        ValueError: sums of other scores.
    """
    if not path.is_file():
        return {}
    metrics = read_sums(path, told["suites"], told["protocols"])
    for prefix, metric in zip(prefixes(metrics), metrics, strict=True):
        seen = isinstance(metric, Resampled) and metric.groups
        for name, value in (metric.compute() if seen else {}).items():
            wanted = told["scores"].get(prefix + name)
            if wanted is not None and not math.isclose(value, wanted, rel_tol=1e-6):
                raise ValueError(f"{path} beside it gives {prefix + name} {value:.6f} and not {wanted:.6f}")
    return figure_intervals(metrics, seed)


def _columns(path: Path, clips: int) -> dict[str, list[float]]:
    """Every column of numbers by its name; empty where there is no table."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != clips:
        raise ValueError(f"{path} beside it has {len(rows)} clips and not {clips}")
    return {name: [_number(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _figure(name: str, value: float, clips: list[float], seed: int) -> ScoredFigure:
    known = [score for score in clips if not math.isnan(score)]
    low, high = bootstrap_interval(known, seed=seed)
    return ScoredFigure(name, value, sum(known) / len(known) if known else math.nan, low, high)
