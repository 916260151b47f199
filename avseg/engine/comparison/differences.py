"""Differences of figures with paired intervals: both sides are scored on the same drawn clips
(docs/how-to/compare.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from avseg.engine.comparison.options import Draws
from avseg.engine.evaluation.intervals import FEWEST
from avseg.engine.evaluation.report import OF_THE_CLIP, prefixes
from avseg.metrics.base import Array, Metric, Resampled, Row
from avseg.metrics.bootstrap import paired_bootstrap
from avseg.progress import Progress

LEVEL = 0.95
"""Share of the draws whose differences lie inside an interval."""
FEW = f"it has fewer than {FEWEST} clips, or groups of clips of the protocol"
RARE = "it has no value in most draws"
NO_MEAN = "it is not a mean over clips, and without the models it cannot be computed for drawn clips"
NEITHER = "the metric cannot be computed for drawn clips"

Drawn: TypeAlias = dict[tuple[str, int], Array]
"""By the name of a figure and the id of a class (-1: all clips), (draws, 2) of A and B."""


@dataclass(frozen=True)
class Side:
    """One of the two sides: scores by name, rows, and the metrics if available."""

    scores: Mapping[str, float]
    rows: Sequence[Row]
    metrics: Sequence[Metric] = ()


@dataclass(frozen=True)
class Difference:
    """A figure of A and of B, and what B has more. NaN stands for what is not known."""

    figure: str
    a: float
    b: float
    low: float = math.nan
    """Ends of the interval of `b - a`."""
    high: float = math.nan
    missing: str = ""
    """Why there is no interval; empty where there is one."""
    class_id: int | None = None
    """Class id of a score; 0 is background."""

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class FigureDifferences:
    """Differences of all scores, and of the scores of every class."""

    figures: list[Difference] = field(default_factory=list)
    classes: list[Difference] = field(default_factory=list)


def differences(a: Side, b: Side, draws: Draws, *, progress: bool = False) -> FigureDifferences:
    """Differences of every figure that either side has.

    Where metrics can be fed again with drawn clips, each draw gives both sides the same clips and all their figures are
    computed anew, whatever they are; elsewhere only figures that are means of the clips' own have an interval.

    Args:
        a, b: What the two scored on the same clips, under the same suites and protocols.
        progress: Show a bar on a terminal, lines elsewhere.
    """
    drawn, found = _drawn(a.metrics, b.metrics, draws, progress), FigureDifferences()
    for name in dict.fromkeys([*a.scores, *b.scores]):
        one, other = a.scores.get(name, math.nan), b.scores.get(name, math.nan)
        if (name, -1) in drawn:
            found.figures.append(Difference(name, one, other, *_ends(drawn[name, -1])))
        else:
            found.figures.append(_of_rows(name, a, b, draws))
    for name, numbers, one_class, other_class in _by_class(a.metrics, b.metrics):
        for number in numbers:
            ends = _ends(drawn[name, number])
            found.classes.append(Difference(name, float(one_class[number]), float(other_class[number]), *ends, number))
    return found


def _of_rows(name: str, a: Side, b: Side, draws: Draws) -> Difference:
    """By the clips' own figures, where their mean is the figure of all."""
    one, other = (side.scores.get(name, math.nan) for side in (a, b))
    values = [np.array([float(row.get(name, math.nan)) for row in side.rows]) for side in (a, b)]
    if not (_is_mean(one, values[0]) and _is_mean(other, values[1])):
        return Difference(name, one, other, missing=NEITHER if a.metrics else NO_MEAN)
    if np.isfinite(values[0] + values[1]).sum() < FEWEST:
        return Difference(name, one, other, missing=FEW)
    _, low, high = paired_bootstrap(values[1], values[0], draws.seed, draws.draws, LEVEL)
    return Difference(name, one, other, low, high)


def _is_mean(score: float, values: Array) -> bool:
    known = values[~np.isnan(values)]
    return bool(len(known)) and math.isclose(score, known.mean(), rel_tol=1e-9, abs_tol=1e-12)


def _ends(values: Array) -> tuple[float, float, str]:
    """The interval of (draws, 2) figures of A and B, and why there is none."""
    if not len(values):
        return math.nan, math.nan, FEW
    found = values[:, 1] - values[:, 0]
    known = found[~np.isnan(found)]
    if 2 * len(known) < len(found):
        return math.nan, math.nan, RARE
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high), ""


def _drawn(a: Sequence[Metric], b: Sequence[Metric], draws: Draws, progress: bool) -> Drawn:
    """All figures of the draws, of the metrics that can be fed again."""
    found: Drawn = {}
    pairs = [
        (prefix, one, other)
        for prefix, one, other in zip(prefixes(a), a, b, strict=True)
        if isinstance(one, Resampled) and isinstance(other, Resampled)
    ]
    with Progress(draws.draws * len(pairs), "intervals", "draw", quiet=not progress or not pairs) as shown:
        for prefix, one, other in pairs:
            groups, generator = np.array(one.groups), np.random.default_rng(draws.seed)
            names = {key: place for place, key in enumerate(_figures(one, prefix) | _figures(other, prefix))}
            table = np.full((draws.draws if len(groups) >= FEWEST else 0, 2, len(names)), np.nan)
            for draw in table:
                chosen = groups[generator.integers(len(groups), size=len(groups))].tolist()
                for side, metric in enumerate((one, other)):
                    for key, value in _figures(metric.resampled(chosen), prefix).items():
                        if key in names:
                            draw[side, names[key]] = value
                shown.advance(1)
            found |= {key: table[:, :, place] for key, place in names.items()}
            found |= dict.fromkeys(_rare(one, other, prefix, groups.tolist()), table[:0, :, 0])
    return found


def _rare(a: Resampled, b: Resampled, prefix: str, groups: Sequence[int]) -> list[tuple[str, int]]:
    """Figures of classes that occur, true or predicted, in too few of the groups."""
    clips: dict[tuple[str, int], int] = {}
    for group in groups:
        alone = [metric.resampled([group]).by_class() for metric in (a, b)]
        for name, values in alone[0].items():
            for number in range(len(values)):
                known = any(not math.isnan(side[name][number]) for side in alone)
                clips[prefix + name, number] = clips.get((prefix + name, number), 0) + known
    return [key for key, count in clips.items() if count < FEWEST]


def _figures(metric: Resampled, prefix: str) -> dict[tuple[str, int], float]:
    found = {(prefix + name, -1): float(value) for name, value in metric.compute().items()}
    for name, values in metric.by_class().items():
        found |= {(prefix + name, number): float(value) for number, value in enumerate(values)}
    return found


def _by_class(a: Sequence[Metric], b: Sequence[Metric]) -> list[tuple[str, list[int], Array, Array]]:
    """Figures by class, and the classes that have one on either side."""
    found = []
    for prefix, one, other in zip(prefixes(a), a, b, strict=True):
        if isinstance(one, Resampled) and isinstance(other, Resampled):
            others = other.by_class()
            for name, values in one.by_class().items():
                known = np.flatnonzero(~np.isnan(values) | ~np.isnan(others[name]))
                found.append((prefix + name, known.tolist(), values, others[name]))
    return found


def clip_differences(a: Side, b: Side) -> list[tuple[Row, Row]]:
    """The rows of both sides by clip, in the order of the data set."""
    others = {row["index"]: row for row in b.rows}
    return [(row, others[row["index"]]) for row in a.rows if row["index"] in others]


def scores_of(row: Row) -> dict[str, float]:
    """The numbers of a row that are figures of its clip."""
    return {n: float(value) for n, value in row.items() if n not in OF_THE_CLIP and not isinstance(value, str)}
