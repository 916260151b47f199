"""Intervals of means over clips, by drawing clips again (Efron 1979, the percentile method)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from avseg.metrics.base import Array

AT_ONCE = 1_000_000
"""Values drawn in one piece, so that memory does not grow with the number of draws."""


def bootstrap_interval(
    values: npt.ArrayLike, seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """The percentile interval of the mean of `values`, each of which is one clip's score.

    Args:
        values: (N,) scores; clips whose score is NaN are left out.
        seed: Of the draws; the same seed gives the same interval.
        draws: How often N clips are drawn with replacement.
        level: The share of the draws' means that lie inside.

    Returns:
        Its two ends; both are NaN where fewer than two clips have a score, since one says nothing about others.

    Raises:
        ValueError: scores that are no single row, no draw, or a level that is not between 0 and 1.
    """
    scores = _row(values)
    return _ends(scores[~np.isnan(scores)], seed, draws, level)


def paired_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """The mean of `a - b` over the same clips, and its percentile interval: (difference, low, high).

    Args:
        a: (N,) scores of one model; clips where either score is NaN are left out.
        b: (N,) scores of the other model, of the same clips in the same order.
        seed: See `bootstrap_interval`; so are `draws` and `level`.

    Returns:
        The difference is NaN where no clip has both scores, the ends where fewer than two have.

    Raises:
        ValueError: also for two rows of different length.
    """
    first, second = _row(a), _row(b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores are compared with {len(second)}; give both models' scores of each clip")
    known = (first - second)[~np.isnan(first - second)]
    low, high = _ends(known, seed, draws, level)
    return float(known.mean()) if len(known) else float("nan"), low, high


def _row(values: npt.ArrayLike) -> Array:
    row: Array = np.asarray(values, dtype=np.float64)
    if row.ndim != 1:
        raise ValueError(f"scores of shape {row.shape}, wanted (N,), one of each clip")
    return row


def _ends(scores: Array, seed: int, draws: int, level: float) -> tuple[float, float]:
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws {draws} and level {level}, wanted 1 or more and one between 0 and 1")
    if len(scores) < 2:
        return float("nan"), float("nan")
    generator, piece = np.random.default_rng(seed), max(AT_ONCE // len(scores), 1)
    means = [
        scores[generator.integers(len(scores), size=(min(piece, draws - done), len(scores)))].mean(1)
        for done in range(0, draws, piece)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
