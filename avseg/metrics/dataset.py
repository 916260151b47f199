"""Scores of all pixels of a data set together, as CAVP reports them (Chen et al. 2024)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avseg.metrics.base import Array, Metric, Row, TableMetric, check_dense
from avseg.metrics.object import BETA2
from avseg.metrics.semantic import EPS, frame_counts
from avseg.metrics.suites.vpo import SPEC
from avseg.types import IGNORE, DenseTarget, Prediction, Target, Task

MULTI_PIXELS = 100
"""A label counts in a frame where more pixels than this bear it."""

MULTI_LABELS = 2
"""A frame in which more labels than this count (background is one of them) shows several things that sound."""

Absent = Literal["zero", "skip"]


def dataset_scores(counts: Array, classes: NDArray[np.bool_], absent: Absent = "zero") -> dict[str, float]:
    """mIoU, F (beta^2 = 0.3), FDR and F1, means over some classes.

    `IoU = hit / union`, `FDR = false / (false + hit)`, `F = (1 + b) hit / ((1 + b) hit + b missed + false)`. F, F1 and
    FDR skip classes where they are 0 / 0. A class that is predicted but never true has F 0 and FDR 1; one that is true
    but never predicted has F 0 and no FDR.

    Args:
        counts: (3, C) hits, predicted and true pixels.
        classes: (C,) which classes the means are over.
        absent: What a class that is neither true nor predicted adds to mIoU: 0, or nothing.
    """
    hit, predicted, wanted = counts
    false, missed, union = predicted - hit, wanted - hit, predicted + wanted - hit
    counted = classes if absent == "zero" else classes & (union > 0)
    iou = hit / (union + (EPS if absent == "zero" else union == 0))

    def f(beta2: float) -> float:
        return _mean_of_ratios((1 + beta2) * hit, (1 + beta2) * hit + beta2 * missed + false, classes)

    return {
        "mIoU": float(iou[counted].mean()) if counted.any() else float("nan"),
        "F": f(BETA2),
        "FDR": _mean_of_ratios(false, predicted, classes),
        "F1": f(1.0),
    }


def _mean_of_ratios(above: Array, below: Array, classes: NDArray[np.bool_]) -> float:
    """Mean over `classes` without those that are 0 / 0; NaN where none is left."""
    kept = classes & (below > 0)
    return float((above[kept] / below[kept]).mean()) if kept.any() else float("nan")


def shows_several(counts: Array, truth: DenseTarget, protocol: str) -> NDArray[np.bool_]:
    """(M,) whether each annotated frame has more than two labels of more than 100 pixels each.

    Published: ignored pixels (255) are such a label as well, as the published test has it.
    """
    labels: Array = (counts[:, 2] > MULTI_PIXELS).sum(1)
    if protocol == "published":
        ignored = (truth.labels[truth.annotated] == IGNORE).flatten(1).sum(1).cpu().numpy()
        labels = labels + (ignored > MULTI_PIXELS)
    return labels > MULTI_LABELS


def dataset_metrics(task: Task, protocol: str) -> list[Metric]:
    """mIoU, F, FDR, F1 and accuracy from one confusion matrix of the data set; a binary task has two classes."""
    return [DatasetScores(task, protocol)]


class DatasetScores(TableMetric):
    """mIoU, F, FDR, F1 and accuracy of all annotated frames, from one confusion matrix; binary tasks have two classes.

    Pixels labelled 255 count nowhere. Of the matrix only the diagonal and the two margins are kept, which is all that
    these scores look at.

    Published: the mean over all classes, background included; a class that is neither true nor predicted counts 0 in
    mIoU and is skipped elsewhere. Figures are not rounded (the published code rounds them to 4 decimals).

    Repaired: such a class is skipped everywhere; `*_foreground` leave out class 0.

    Both: `*_multi` are of the frames that show several things (`shows_several`) alone, where there is one.
    """

    suite = SPEC.name

    def __init__(self, task: Task, protocol: str) -> None:
        super().__init__(protocol)
        self.classes = max(task.channels, 2)

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        dense, truth = check_dense(prediction, target)
        counts = frame_counts(dense, truth, self.classes)
        several = shows_several(counts, truth, self.protocol)
        values = np.stack([counts.sum(0), counts[several].sum(0)])
        self.clips.put(index, dense.id, values[None])  # (1, 2, 3, C)

    def compute(self) -> dict[str, float]:
        every, several = self.clips.joined().sum(0)
        absent: Absent = "skip" if self.protocol == "repaired" else "zero"
        scores = self._scores(every, absent)
        if self.protocol == "repaired":
            foreground = dataset_scores(every, np.arange(self.classes) > 0, absent)
            scores |= {f"{name}_foreground": value for name, value in foreground.items()}
        if several.any():
            scores |= {f"{name}_multi": value for name, value in self._scores(several, absent).items()}
        return scores

    def by_class(self) -> dict[str, Array]:
        """IoU and F of every class over all pixels."""
        hit, predicted, wanted = self.clips.joined()[:, 0].sum(0)
        below = {"IoU": predicted + wanted - hit, "F": predicted + BETA2 * wanted}
        above = {"IoU": hit, "F": (1 + BETA2) * hit}
        return {
            name: np.divide(above[name], low, out=np.full_like(hit, np.nan), where=low > 0)
            for name, low in below.items()
        }

    def _scores(self, counts: Array, absent: Absent) -> dict[str, float]:
        """All five over every class."""
        pixels = counts[2].sum()
        accuracy = float(counts[0].sum() / pixels) if pixels else float("nan")
        return dataset_scores(counts, np.ones(self.classes, dtype=bool), absent) | {"accuracy": accuracy}

    def rows(self) -> list[Row]:
        """Return the scores of each clip, over the classes that are true or predicted in it."""
        return [
            {"index": index, "id": clip_id, **self._scores(values[0, 0], "skip")}
            for index, clip_id, values in self.clips
        ]
