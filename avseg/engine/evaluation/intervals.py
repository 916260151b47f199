"""Confidence intervals of scores of a data set, by drawing its clips with replacement (Efron 1979, the percentile
method).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avseg.engine.evaluation.report import prefixes
from avseg.metrics.base import Metric, Resampled

DRAWS = 1000
FEWEST = 5
"""Smallest number of clips, or of groups of a protocol, for an interval; with fewer it would be far too narrow."""


def figure_intervals(
    metrics: Sequence[Metric], seed: int = 0, draws: int = DRAWS, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return the ends of each score's interval; each draw recomputes all scores.

    Args:
        metrics: They have seen the data set; those that cannot be fed with drawn clips, or saw few, give nothing.
        seed: Of the draws.
        draws: How often as many clips, or groups of them, are drawn with replacement.
        level: The share of the draws' figures that lie inside. A figure without a value in most draws has no interval.
    """
    found: dict[str, tuple[float, float]] = {}
    for prefix, metric in zip(prefixes(metrics), metrics, strict=True):
        groups = np.array(metric.groups if isinstance(metric, Resampled) else [], dtype=np.int64)
        if not isinstance(metric, Resampled) or len(groups) < FEWEST:
            continue
        generator = np.random.default_rng(seed)
        table: dict[str, list[float]] = {}
        for _ in range(draws):
            chosen = groups[generator.integers(len(groups), size=len(groups))].tolist()
            for name, value in metric.resampled(chosen).compute().items():
                table.setdefault(prefix + name, []).append(value)
        for name, values in table.items():
            known = np.array(values)[~np.isnan(values)]
            if 2 * len(known) >= draws:
                low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
                found[name] = float(low), float(high)
    return found
