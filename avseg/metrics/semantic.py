"""mIoU and F over classes, as in AVSBench-semantic (Zhou et al. 2024, section 5)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avseg.metrics.base import Array, ClipTable, Row, check_dense
from avseg.metrics.object import f_measure
from avseg.types import IGNORE, Prediction, Target

PUBLISHED_FRAMES = 10
"""Frames to which the published evaluation pads every clip."""

EPS = 2.220446049250313e-16
"""Added to the union by the published code: the float64 machine epsilon."""


def class_counts(predicted: Tensor, labels: Tensor, classes: int, protocol: str = "published") -> Array:
    """Pixels of every class in M frames: (M, 3, C) float64 of hits, predicted and true pixels.

    A class predicted on an ignored pixel (255) counts as predicted in the published protocol, not in the repaired one.

    Args:
        predicted: (M, H, W) int64 in 0..C-1.
        labels: (M, H, W) int64 in 0..C-1 or 255.

    Raises:
        ValueError: a label outside 0..C-1 that is not 255.
    """
    known = torch.where(labels == IGNORE, classes, labels)  # ignored pixels have a row of their own
    if known.numel() and not 0 <= int(known.min()) <= int(known.max()) <= classes:
        raise ValueError(f"labels span {int(labels.min())}..{int(labels.max())}, wanted 0..{classes - 1} or {IGNORE}")
    frames, rows = len(labels), classes + 1
    key = (torch.arange(frames)[:, None, None] * rows + known) * classes + predicted
    table = torch.bincount(key.flatten(), minlength=frames * rows * classes).reshape(frames, rows, classes)
    judged = table if protocol == "published" else table[:, :classes]
    parts = [table.diagonal(dim1=1, dim2=2), judged.sum(1), table[:, :classes].sum(2)]
    return torch.stack(parts, 1).double().numpy()


def frame_scores(counts: Array, eps: float) -> Array:
    """IoU, F and presence of every class in M frames: (M, 3, C) from (M, 3, C) counts.

    A class is present where the truth or the prediction has a pixel of it; elsewhere all three are 0.
    """
    hit, predicted, wanted = counts[:, 0], counts[:, 1], counts[:, 2]
    union = predicted + wanted - hit
    present = union > 0
    iou = np.divide(hit, union + eps, out=np.zeros_like(hit), where=present)
    return np.stack([iou, f_measure(hit, predicted, wanted), present], 1)


class SemanticScores:
    """mIoU and F over C classes: means over frames in which a class is present, then over classes.

    Published: all frames of a clip, and frames of perfect background up to ten; classes never present count 0;
    `mIoU_noBg` and `F_noBg` leave out the last class, as the published code does.

    Repaired: annotated frames only; mean over the classes that occur in the truth; `*_foreground` leave out class 0;
    `mIoU_confusion*` are of all pixels of the data set together (hits over union from one confusion matrix), which is
    another figure than the mean over frames.
    """

    def __init__(self, classes: int, protocol: str = "published") -> None:
        self.classes, self.protocol = classes, protocol
        self.clips = ClipTable()

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        dense, truth = check_dense(prediction, target)
        if dense.logits.shape[1] != self.classes:
            raise ValueError(f"clip {dense.id!r}: logits of {dense.logits.shape[1]} classes, wanted {self.classes}")
        chosen = torch.ones_like(truth.annotated) if self.protocol == "published" else truth.annotated
        frames = chosen.nonzero().flatten().tolist()
        predicted = torch.stack([dense.labels(t) for t in frames]).cpu() if frames else truth.labels[:0].cpu()
        counts = class_counts(predicted, truth.labels[chosen].cpu(), self.classes, self.protocol)
        scores = frame_scores(counts, EPS if self.protocol == "published" else 0.0)
        values = np.concatenate([scores.sum(0), counts.sum(0)])
        if self.protocol == "published":
            values[:3, 0] += max(PUBLISHED_FRAMES - len(frames), 0)  # each padded frame: IoU 1, F 1, present
        self.clips.put(index, dense.id, values[None])  # (1, 6, C)

    def merge(self, other: SemanticScores) -> None:
        self.clips.merge(other.clips)

    def compute(self) -> dict[str, float]:
        total = self.clips.joined().sum(0)
        return self._published(total) if self.protocol == "published" else self._repaired(total)

    def _published(self, total: Array) -> dict[str, float]:
        iou, f = total[:2] / np.maximum(total[2], 1)
        scores = {"mIoU": iou, "F": f, "mIoU_noBg": iou[:-1], "F_noBg": f[:-1]}
        return {name: float(values.mean()) for name, values in scores.items()}

    def _repaired(self, total: Array) -> dict[str, float]:
        hit, predicted, wanted = total[3:]
        iou, f = total[:2] / np.maximum(total[2], 1)
        scores = {"mIoU": iou, "F": f, "mIoU_confusion": hit / np.maximum(predicted + wanted - hit, 1)}
        seen, foreground = wanted > 0, np.arange(self.classes) > 0
        return {name: _mean(values[seen]) for name, values in scores.items()} | {
            f"{name}_foreground": _mean(values[seen & foreground]) for name, values in scores.items()
        }

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
