"""Mean average precision of tracks: COCO's, with the IoU of whole tracks (Yang et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from avseg.metrics.base import Array
from avseg.metrics.tracks.table import Flags, Ids, VideoTable

THRESHOLDS: Array = np.linspace(0.5, 0.95, 10)
"""(10,) IoU that a track must reach."""

RECALLS: Array = np.linspace(0, 1, 101)
"""(101,) recall at which precision is read."""

AREAS = {"": (0.0, 1e10), "_s": (0.0, 128.0**2), "_m": (128.0**2, 256.0**2), "_l": (256.0**2, 1e10)}
"""Mean pixels of a track over its frames, both ends included, by the ending of the figure's name."""


Judged: TypeAlias = tuple[Array, Flags, Flags, Array]
"""Matches of one class of a video: (P,) scores, best first; (4, 10, P) right, and left out; (4,) true tracks, by
`AREAS`.
"""


@dataclass(frozen=True, eq=False)
class VideoTracks:
    """All that mAP asks of a video of G true and P predicted tracks."""

    truth_classes: Ids
    """(G,)."""
    truth_areas: Array
    """(G,) mean pixels, as the file has them."""
    classes: Ids
    """(P,)."""
    scores: Array
    """(P,)."""
    areas: Array
    """(P,) mean pixels of the masks that are not empty."""
    iou: Array
    """(P, G)."""

    @classmethod
    def of(cls, table: VideoTable) -> VideoTracks:
        noted = ~np.isnan(table.noted_areas)
        return cls(
            truth_classes=table.truth_classes,
            truth_areas=_mean(np.where(noted, table.noted_areas, 0), noted),
            classes=table.classes,
            scores=table.scores,
            areas=_mean(table.areas, table.areas > 0),
            iou=np.ascontiguousarray(table.track_iou().T),
        )

    def judged(self, number: int, unmarked: int | None = None) -> Judged:
        """The tracks of a class matched with the true ones; kept, since a video may be drawn again.

        Args:
            unmarked: The prediction whose true track stays free after it (a published slip).
        """
        if (number, unmarked) not in self._judged:
            self._judged[number, unmarked] = self._matched(number, unmarked)
        return self._judged[number, unmarked]

    @cached_property
    def every_class(self) -> frozenset[int]:
        """Classes that are true or predicted."""
        return frozenset(np.union1d(self.truth_classes, self.classes).tolist())

    @cached_property
    def _judged(self) -> dict[tuple[int, int | None], Judged]:
        return {}

    def _matched(self, number: int, unmarked: int | None) -> Judged:
        low, high = np.array(list(AREAS.values())).T[..., None]  # (R, 1) each
        true, predicted = self.of_class(number)
        outside = (self.truth_areas[true] < low) | (self.truth_areas[true] > high)  # (R, G)
        slip = next((i for i, p in enumerate(predicted) if p == unmarked), None)
        matched, ignored = match(self.iou[np.ix_(predicted, true)], outside, slip)
        wrong_size = (self.areas[predicted] < low) | (self.areas[predicted] > high)  # (R, P)
        left_out = ignored | (~matched & wrong_size[:, None])
        return self.scores[predicted], matched & ~ignored, left_out, (~outside).sum(1).astype(np.float64)

    def of_class(self, number: int) -> tuple[Ids, Ids]:
        """Places of the true tracks of a class, and of the predicted ones, best score first (ties: file order)."""
        predicted = (self.classes == number).nonzero()[0]
        order = np.argsort(-self.scores[predicted], kind="stable")
        return (self.truth_classes == number).nonzero()[0], predicted[order]


def _mean(values: Array, counted: Flags) -> Array:
    """(N,) means of (N, T) values over those that are counted, 0 without any."""
    means: Array = np.where(counted, values, 0).sum(1) / np.maximum(counted.sum(1), 1)
    return means


def match(iou: Array, outside: Flags, unmarked: int | None = None) -> tuple[Flags, Flags]:
    """Give every prediction, best first, the true track of greatest IoU that is still free, ties to the later one.

    Tracks whose area is outside a range are taken only where no other is left to take, as in COCO.

    Args:
        iou: (P, G), best score first.
        outside: (R, G) true tracks outside each of R ranges of area.
        unmarked: A prediction whose true track stays free after it (a published slip).

    Returns:
        (R, 10, P) matched, and matched with a track outside the range.
    """
    ranges, thresholds = len(outside), np.minimum(THRESHOLDS, 1 - 1e-10)
    free = np.ones((ranges, len(thresholds), iou.shape[1]), dtype=bool)
    matched = np.zeros((ranges, len(thresholds), len(iou)), dtype=bool)
    ignored = np.zeros_like(matched)
    if not iou.shape[1]:
        return matched, ignored
    for place, row in enumerate(iou):
        good = free & (row >= thresholds[:, None])  # (R, 10, G)
        inside = good & ~outside[:, None]
        good = np.where(inside.any(2, keepdims=True), inside, good)
        best = row.size - 1 - np.where(good, row, -1.0)[..., ::-1].argmax(2)  # (R, 10), the last of equals
        hit = good.any(2)
        r, t = hit.nonzero()
        matched[r, t, place], ignored[r, t, place] = True, outside[r, best[r, t]]
        if place != unmarked:
            free[r, t, best[r, t]] = False
    return matched, ignored


def class_curves(
    videos: Sequence[VideoTracks], number: int, unmarked: tuple[int, int] | None = None
) -> tuple[Array, Array]:
    """Precision at 101 recalls and the greatest recall of one class: (4, 10, 101) and (4, 10), one for each of `AREAS`.

    NaN in ranges in which the class has no true track.

    Args:
        unmarked: Place of a video and of a prediction in it whose true track stays free after it (a published slip).
    """
    empty = np.zeros((len(AREAS), len(THRESHOLDS), 0), dtype=bool)
    parts: list[Judged] = [(np.zeros(0), empty, empty, np.zeros(len(AREAS)))]
    for place, video in enumerate(videos):
        slip = unmarked[1] if unmarked is not None and place == unmarked[0] else None
        if number in video.every_class:
            parts.append(video.judged(number, slip))
    scores, hits, skipped, positives = zip(*parts, strict=True)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hit, skip = np.concatenate(hits, 2)[..., order], np.concatenate(skipped, 2)[..., order]
    return _precision(hit.cumsum(2), (~hit & ~skip).cumsum(2), np.sum(positives, 0))


def _precision(right: Array, wrong: Array, positives: Array) -> tuple[Array, Array]:
    """Curves from (R, 10, D) running counts of right and wrong tracks, best score first, and (R,) true tracks."""
    precision = np.full((*right.shape[:2], len(RECALLS)), np.nan)
    recall = np.full(right.shape[:2], np.nan)
    for r in (positives > 0).nonzero()[0]:
        reached = right[r] / positives[r]  # (10, D)
        exact = right[r] / np.maximum(right[r] + wrong[r], 1)
        # Precision at a recall is the best one at that recall or any higher.
        exact = np.maximum.accumulate(exact[:, ::-1], 1)[:, ::-1]
        exact = np.concatenate([exact, np.zeros((len(exact), 1))], 1)
        for t, curve in enumerate(reached):
            precision[r, t] = exact[t, np.searchsorted(curve, RECALLS, side="left")]
        recall[r] = reached[:, -1] if reached.shape[1] else 0
    return precision, recall


def map_figures(
    videos: Sequence[VideoTracks], classes: Sequence[int], unmarked: tuple[int, int] | None = None
) -> dict[str, float]:
    """mAP, mAP_s, mAP_m, mAP_l and AR: means over the classes that have a true track; NaN where none has."""
    curves = [class_curves(videos, number, unmarked) for number in classes]
    precision = np.array([precision.mean((1, 2)) for precision, _ in curves]).reshape(-1, len(AREAS))  # (C, R)
    figures = {f"mAP{name}": _mean_known(precision[:, r]) for r, name in enumerate(AREAS)}
    return figures | {"AR": _mean_known(np.array([recall[0].mean() for _, recall in curves]))}


def _mean_known(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
