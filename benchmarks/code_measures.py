"""What codes of sound tell: about classes, and about mixtures (docs/results/experiments.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avseg.metrics.base import Array


def mutual_information(first: ArrayLike, second: ArrayLike) -> float:
    """Normalised mutual information 2 I(a; b) / (H(a) + H(b)) of two namings of n things, from 0 to 1.

    1 where both tell the same; 0 where one of them names everything alike.

    Raises:
        ValueError: two lengths, or nothing named.
    """
    a, b = (np.unique(np.asarray(names).ravel(), return_inverse=True)[1] for names in (first, second))
    if len(a) != len(b) or not len(a):
        raise ValueError(f"got {len(a)} and {len(b)} names, wanted two for each of one or more things")
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1 / len(a))
    one, other, both = (_entropy(p) for p in (table.sum(1), table.sum(0), table.ravel()))
    total = one + other
    return float(max(one + other - both, 0.0) * 2 / total) if total > 0 else 0.0


def _entropy(shares: Array) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


class Match(NamedTuple):
    """A share, the same by chance, and how often chance does as well."""

    share: float
    chance: float
    """Mean over permutations."""
    p_value: float
    """One-sided: (1 + permutations that reach the share) / (1 + permutations)."""


def matches(table: NDArray[np.floating], permutations: int = 10_000, seed: int = 0) -> Match:
    """Whether things fit their own partners better than those of others: a permutation test.

    Args:
        table: (P, P), how well thing i fits the partner of thing j, own ones on the diagonal.
        permutations: how many random assignments of partners are tried.
        seed: of these.

    Raises:
        ValueError: another shape.
    """
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not len(table):
        raise ValueError(f"got a table of shape {table.shape}, wanted (P, P), a row and a column for each of P pairs")
    rng, rows = np.random.default_rng(seed), np.arange(len(table))
    own = float(table[rows, rows].mean())
    shuffled = np.array([table[rows, rng.permutation(len(table))].mean() for _ in range(permutations)])
    reached = int((shuffled >= own - 1e-12).sum())
    return Match(own, float(shuffled.mean()), (1 + reached) / (1 + permutations))


def kept_codes(mixtures: NDArray[np.int64], sources: NDArray[np.int64], number: int) -> tuple[Array, Array]:
    """How the tokens of each mixture fit the sources of each: two tables (P, P) for `matches`.

    Args:
        mixtures: (P, N) codes of the tokens of P mixtures.
        sources: (P, 2, N) codes of the two sounds that each was mixed of, heard alone.
        number: of all codes.

    Returns:
        The share of mixture i's tokens whose code is one of a source of j; and the share of the codes of the sources
        of j, the mean of both, that a token of mixture i has.
    """
    heard = _present(mixtures, number)  # (P, K)
    alone = _present(sources, number)  # (P, 2, K)
    counts = np.apply_along_axis(np.bincount, 1, mixtures, minlength=number) / mixtures.shape[1]
    tokens = counts @ alone.any(1).T.astype(float)
    shares = alone / alone.sum(2, keepdims=True)
    return tokens, heard.astype(float) @ shares.mean(1).T


def _present(codes: NDArray[np.int64], number: int) -> NDArray[np.bool_]:
    """(..., N) codes -> (..., number), which of them are there."""
    table = np.zeros((*codes.shape[:-1], number), bool)
    np.put_along_axis(table, codes, True, axis=-1)
    return table


def area_under_curve(scores: ArrayLike, truth: ArrayLike) -> float:
    """Share of (true, false) pairs in which the true one has the higher score; ties count half. NaN without pairs."""
    values, wanted = np.asarray(scores, float).ravel(), np.asarray(truth, bool).ravel()
    high, low = values[wanted], values[~wanted]
    if not len(high) or not len(low):
        return float("nan")
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.mean() / (2 * len(low)))
