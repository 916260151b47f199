"""Higher order tracking accuracy (Luiten et al. 2021): detection and association in one figure."""

from __future__ import annotations

import numpy as np

from avseg.metrics.base import Array
from avseg.metrics.tracks.table import ALPHAS, Flags, Ids

COUNTS = ("hits", "missed", "false", "location", "association", "association_recall", "association_precision")
"""Rows of the counts: matches, true and predicted masks without one, and sums over the matches."""


def hota_counts(iou: Array, truth_there: Flags, there: Flags) -> Array:
    """Return the counts of one class of one video for HOTA at every alpha: (7, 19), rows as in `COUNTS`.

    Args:
        iou: (T, G, P) of tracks of the class.
        truth_there: (G, T) true masks.
        there: (P, T) masks that were predicted, empty ones included where they are to count.
    """
    t, g, p = _matches(iou, truth_there, there)
    matched = iou[t, g, p]
    counted = matched >= ALPHAS[:, None] - np.finfo(float).eps  # (19, M)
    hits = counted.sum(1)
    pairs = np.zeros((len(ALPHAS), *iou.shape[1:]))  # (19, G, P) matches of each pair of tracks
    alpha, match = counted.nonzero()
    np.add.at(pairs, (alpha, g[match], p[match]), 1)
    true, predicted = truth_there.sum(1)[:, None], there.sum(1)[None]  # frames of each track
    squares = pairs**2  # every match of a pair counts what the pair is worth
    return np.stack(
        [
            hits,
            truth_there.sum() - hits,
            there.sum() - hits,
            (counted * matched).sum(1),
            (squares / np.maximum(true + predicted - pairs, 1)).sum((1, 2)),
            (squares / np.maximum(true, 1)).sum((1, 2)),
            (squares / np.maximum(predicted, 1)).sum((1, 2)),
        ]
    )


def alignment(iou: Array, truth_there: Flags, there: Flags) -> Array:
    """(G, P) how well whole tracks fit: soft counts of common frames over frames of either.

    A pair's soft count in a frame is its IoU over the sum of all IoU that either of the two has there.
    """
    either = iou.sum(1, keepdims=True) + iou.sum(2, keepdims=True) - iou
    soft = np.divide(iou, either, out=np.zeros_like(iou), where=either > np.finfo(float).eps).sum(0)
    frames = truth_there.sum(1)[:, None] + there.sum(1)[None] - soft
    fit: Array = np.divide(soft, frames, out=np.zeros_like(soft), where=frames > 0)
    return fit


def _matches(iou: Array, truth_there: Flags, there: Flags) -> tuple[Ids, Ids, Ids]:
    """Frame, true and predicted track of the M pairs that fit best, one to one in every frame: three of (M,) int64."""
    from scipy.optimize import linear_sum_assignment

    worth = alignment(iou, truth_there, there) * iou
    matches = [np.zeros((3, 0), dtype=np.int64)]
    for t in np.flatnonzero((worth > 0).any((1, 2))).tolist():
        # Of a frame only tracks that meet another matter.
        rows, columns = np.flatnonzero(worth[t].any(1)), np.flatnonzero(worth[t].any(0))
        g, p = linear_sum_assignment(worth[t][np.ix_(rows, columns)], maximize=True)
        matches.append(np.stack([np.full(len(g), t), rows[g], columns[p]]))
    t, g, p = np.concatenate(matches, 1)
    return t, g, p


def hota_figures(counts: Array) -> dict[str, float]:
    """HOTA and its parts: at every alpha, then means over classes and alphas.

    `DetA = hits / (hits + missed + false)`, AssA the mean over hits of `pair / (true + predicted - pair)` frames,
    `HOTA = sqrt(DetA AssA)`. Without a hit LocA is 1, as published, and all others are 0.

    Args:
        counts: (C, 7, 19) sums over videos.
    """
    return {name: float(values.mean()) if len(values) else float("nan") for name, values in hota_curves(counts).items()}


def hota_curves(counts: Array) -> dict[str, Array]:
    """HOTA and its parts for every class at every alpha, (C, 19) each, from (C, 7, 19) sums over videos."""
    hits, missed, false, location, association, recall, precision = counts.swapaxes(0, 1)
    deta, assa = hits / np.maximum(hits + missed + false, 1), association / np.maximum(hits, 1)
    return {
        "HOTA": np.sqrt(deta * assa),
        "DetA": deta,
        "AssA": assa,
        "DetRe": hits / np.maximum(hits + missed, 1),
        "DetPr": hits / np.maximum(hits + false, 1),
        "AssRe": recall / np.maximum(hits, 1),
        "AssPr": precision / np.maximum(hits, 1),
        "LocA": np.where(hits > 0, location / np.maximum(hits, 1), 1.0),
    }
