"""mIoU and F over classes, as in AVSBench-semantic (Zhou et al. 2024, section 5)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avseg.metrics.base import Array, Metric, Row, TableMetric, check_dense
from avseg.metrics.object import f_measure
from avseg.metrics.suites.avsbench_semantic import SPEC
from avseg.types import IGNORE, DensePrediction, DenseTarget, Prediction, Target, Task

PUBLISHED_FRAMES = 10
"""Frames to which the published evaluation pads every clip."""

EPS = 2.220446049250313e-16
"""Added to the union by the published code: the float64 machine epsilon."""


def class_counts(predicted: Tensor, labels: Tensor, classes: int, *, count_ignored: bool = False) -> Array:
    """Pixels of every class in M frames: (M, 3, C) float64 of hits, predicted and true pixels.

    Args:
        predicted: (M, H, W) int64 in 0..C-1.
        labels: (M, H, W) int64 in 0..C-1 or 255.
        classes: C.
        count_ignored: A class predicted on an ignored pixel (255) counts as predicted, as published for AVSBench.

    Raises:
        ValueError: a label outside 0..C-1 that is not 255.
    """
    tables = [_confusion(*pair, classes) for pair in zip(predicted, labels, strict=True)]
    table = torch.stack(tables) if tables else torch.zeros(0, IGNORE + 1, classes, dtype=torch.int64)
    known = table[:, :classes]
    counted = table if count_ignored else known
    parts = [known.diagonal(dim1=1, dim2=2), counted.sum(1), known.sum(2)]
    return torch.stack(parts, 1).double().numpy()


def _confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Pixels of one frame by label (0..255) and predicted class: (256, C) int64."""
    known = labels.int()  # 32 bits take half the time of 64
    low, high = (int(end) for end in known.aminmax()) if known.numel() else (0, 0)
    if low >= 0 and high <= IGNORE:
        key = (known * classes).add_(predicted.int()).flatten()
        table = torch.bincount(key, minlength=(IGNORE + 1) * classes).reshape(-1, classes)
        if not bool(table[classes:IGNORE].any()):
            return table
    raise ValueError(f"labels span {low}..{high}, wanted 0..{classes - 1} or {IGNORE}")


def frame_counts(dense: DensePrediction, truth: DenseTarget, classes: int, *, padded: bool = False) -> Array:
    """`class_counts` of the annotated frames of a clip, a frame at a time; `padded`: of all its frames, as published
    for AVSBench, where ignored pixels count too.

    Raises:
        ValueError: a prediction over other classes.
    """
    channels = dense.logits.shape[1]
    if max(channels, 2) != classes:
        raise ValueError(f"clip {dense.id!r}: logits of {channels} classes, wanted {classes}")
    frames = range(len(truth.labels)) if padded else truth.annotated.nonzero().flatten().tolist()
    counts = [
        class_counts(dense.labels(t).cpu()[None], truth.labels[t].cpu()[None], classes, count_ignored=padded)
        for t in frames
    ]
    return np.concatenate(counts) if counts else np.zeros((0, 3, classes))


def frame_scores(counts: Array, eps: float) -> Array:
    """IoU, F and presence of every class in M frames: (M, 3, C) from (M, 3, C) counts.

    A class is present where the truth or the prediction has a pixel of it; elsewhere all three are 0.
    """
    hit, predicted, wanted = counts[:, 0], counts[:, 1], counts[:, 2]
    union = predicted + wanted - hit
    present = union > 0
    iou = np.divide(hit, union + eps, out=np.zeros_like(hit), where=present)
    return np.stack([iou, f_measure(hit, predicted, wanted), present], 1)


def class_metrics(task: Task, protocol: str) -> list[Metric]:
    """mIoU and F over the classes of `task`, background included."""
    return [SemanticScores(task.channels, protocol)]


class SemanticScores(TableMetric):
    """mIoU and F over C classes: means over frames in which a class is present, then over classes.

    Published: all frames of a clip, and frames of perfect background up to ten; classes never present count 0;
    `mIoU_noBg` and `F_noBg` leave out the last class, as the published code does.

    Cavp: annotated frames only, none padded; classes never present count 0; `*_foreground` leave out class 0.

    Repaired: annotated frames only; mean over the classes that occur in the truth; `*_foreground` leave out class 0;
    `mIoU_confusion*` are of all pixels of the data set together (hits over union from one confusion matrix), which is
    another figure than the mean over frames.
    """

    suite = SPEC.name

    def __init__(self, classes: int, protocol: str) -> None:
        super().__init__(protocol)
        self.classes = classes

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        dense, truth = check_dense(prediction, target)
        self.add(index, dense.id, frame_counts(dense, truth, self.classes, padded=self.padded))

    @property
    def padded(self) -> bool:
        """Whether all frames of a clip count, and ignored pixels with them (`class_counts`)."""
        return self.protocol == "published"

    def add(self, index: int, clip_id: str, counts: Array) -> None:
        """Take in the frames of a clip by their (M, 3, C) `class_counts`."""
        scores = frame_scores(counts, 0.0 if self.protocol == "repaired" else EPS)
        values = np.concatenate([scores.sum(0), counts.sum(0)])
        if self.padded:
            values[:3, 0] += max(PUBLISHED_FRAMES - len(counts), 0)  # each padded frame: IoU 1, F 1, present
        self.clips.put(index, clip_id, values[None])  # (1, 6, C)

    def compute(self) -> dict[str, float]:
        total = self.clips.joined().sum(0)
        return self._repaired(total) if self.protocol == "repaired" else self._of_all_classes(total)

    def _of_all_classes(self, total: Array) -> dict[str, float]:
        iou, f = total[:2] / np.maximum(total[2], 1)
        name, kept = ("noBg", slice(-1)) if self.protocol == "published" else ("foreground", slice(1, None))
        scores = {"mIoU": iou, "F": f, f"mIoU_{name}": iou[kept], f"F_{name}": f[kept]}
        return {name: float(values.mean()) for name, values in scores.items()}

    def _repaired(self, total: Array) -> dict[str, float]:
        hit, predicted, wanted = total[3:]
        iou, f = total[:2] / np.maximum(total[2], 1)
        scores = {"mIoU": iou, "F": f, "mIoU_confusion": hit / np.maximum(predicted + wanted - hit, 1)}
        seen, foreground = wanted > 0, np.arange(self.classes) > 0
        return {name: _mean(values[seen]) for name, values in scores.items()} | {
            f"{name}_foreground": _mean(values[seen & foreground]) for name, values in scores.items()
        }

    def by_class(self) -> dict[str, Array]:
        """IoU and F of every class, means over the frames in which it is present."""
        total = self.clips.joined().sum(0)
        known = total[5] > 0 if self.protocol == "repaired" else total[2] > 0
        iou, f = np.where(known, total[:2] / np.maximum(total[2], 1), np.nan)
        return {"IoU": iou, "F": f}

    def rows(self) -> list[Row]:
        """mIoU and F of each clip over the classes present in it."""
        rows: list[Row] = []
        for index, clip_id, values in self.clips:
            iou, f, count = values[0, :3]
            seen = count > 0
            means = {name: _mean(v[seen] / count[seen]) for name, v in {"mIoU": iou, "F": f}.items()}
            rows.append({"index": index, "id": clip_id, **means})
        return rows


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
