"""J and F of the foreground, as in AVSBench-object (Zhou et al. 2022, section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from avseg.metrics.base import Array, Metric, Row, TableMetric, check_dense
from avseg.metrics.suites.avsbench_object import SPEC
from avseg.metrics.union import united, united_truth
from avseg.types import IGNORE, DensePrediction, DenseTarget, Prediction, Target, Task

BETA2 = 0.3
"""Weight of precision in F."""

BINS = 255
"""Number of thresholds of the F curve."""

FRAMES_AT_ONCE = 8
"""Frames in one histogram: their keys stay in the processor's cache."""


def thresholds() -> Tensor:
    """(255,) float32 thresholds from 0 to 1, both included; the published end 1 - 1e-10 is 1 in float32."""
    return torch.linspace(0, 1 - 1e-10, BINS, dtype=torch.float32)


def mask_iou(predicted: Tensor, truth: Tensor, valid: Tensor, protocol: str) -> Array:
    """IoU of M pairs of (M, H, W) bool masks over the pixels that are `valid`: (M,) float64.

    Published and cavp: `|p & g| / (|p | g| + 1e-7)`, and where the truth is empty the share of pixels predicted empty.
    Repaired: the plain ratio, and where the truth is empty 1 for an empty prediction, 0 for any other.
    """
    p, g = predicted & valid, truth & valid
    both, either, wanted, pixels = (_count(mask) for mask in (p & g, p | g, g, valid))
    if protocol != "repaired":
        return np.where(wanted > 0, both / (either + 1e-7), (pixels - either) / np.maximum(pixels, 1))
    return np.where(wanted > 0, both / np.maximum(either, 1), either == 0)


def _count(masks: Tensor) -> Array:
    """Pixels of each of (M, H, W) masks: (M,) float64."""
    return masks.flatten(1).sum(1).double().numpy()


def threshold_counts(probabilities: Tensor, truth: Tensor, valid: Tensor) -> tuple[Array, Array]:
    """Pixels of M frames at or above each threshold, all of them and those in the truth: two of (M, 255) float64.

    Every pixel falls into the bin of the last threshold it reaches; sums over the bins from above are the counts.

    Args:
        probabilities: (M, H, W) float32 in [0, 1].
        truth: (M, H, W) bool.
        valid: (M, H, W) bool; other pixels are left out.
    """
    parts = zip(
        *(torch.split(tensor.flatten(1), FRAMES_AT_ONCE) for tensor in (probabilities, truth, valid)), strict=True
    )
    bins = torch.cat([_histogram(*part) for part in parts])  # (M, 2, 255)
    reached = bins.flip(-1).cumsum(-1).flip(-1).double().numpy()
    return reached.sum(1), reached[:, 1]


def _histogram(probabilities: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Pixels per bin outside and inside the truth: (m, 2, 255) int64 from three of (m, HW)."""
    frames = len(probabilities)
    key = _last_reached(probabilities.float())
    key += truth * 256
    key += 512 * torch.arange(frames, dtype=torch.int32)[:, None]
    if not bool(valid.all()):
        key = key[valid]
    return torch.bincount(key.flatten(), minlength=512 * frames).reshape(frames, 2, 256)[..., :BINS]


def _last_reached(probabilities: Tensor) -> Tensor:
    """Index of the last float32 threshold that is not above each probability: int32 of the same shape."""
    steps = thresholds()
    # A float32 product is a few ulp off: where both sides of it give one bin it is right; the few others are compared.
    low = (probabilities * (254 * (1 - 1e-6))).to(torch.uint8)
    high = (probabilities * (254 * (1 + 1e-6))).to(torch.uint8)
    unsure = (low != high).nonzero(as_tuple=True)
    key = low.int()
    at = key[unsure]
    key[unsure] = at + (probabilities[unsure] >= steps[at + 1])
    return key


def f_curve(probabilities: Tensor, truth: Tensor, valid: Tensor) -> Array:
    """F (beta^2 = 0.3) of M frames at the 255 thresholds: (M, 255) float64.

    `P = tp / (predicted + 1e-20)`, `R = tp / (true + 1e-20)`, `F = 1.3 P R / (0.3 P + R)`, 0 where that is 0 / 0.
    """
    predicted, hit = threshold_counts(probabilities, truth, valid)
    return f_measure(hit, predicted, hit[:, :1], 1e-20)


def f_measure(hit: Array, predicted: Array, wanted: Array, eps: float = 0.0) -> Array:
    """F (beta^2 = 0.3) from counts of pixels; 0 where it is 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = hit / (predicted + eps), hit / (wanted + eps)
        f = (1 + BETA2) * precision * recall / (BETA2 * precision + recall)
    return np.nan_to_num(f, nan=0.0)


def foreground_metrics(task: Task, protocol: str, *, group: int | None = None) -> list[Metric]:
    """J and F of the foreground; of semantic clips the foreground counts (every class but 0).

    Args:
        task: Of the data set.
        protocol: One of the suite's.
        group: Clips whose F curves are averaged before the maximum is taken, in data-set order; by default those of
            the protocol.
    """
    return [ForegroundIoU(protocol, group), ForegroundF(protocol, group)]


class ForegroundIoU(TableMetric):
    """J, the IoU of the foreground ("mIoU" in the AVSBench-object papers) over annotated frames.

    Published and cavp: mean over groups of `group` clips, in data-set order, of the mean over the group's frames.
    Repaired: mean over frames, and `J_sounding`, the mean over frames whose truth is not empty.
    """

    suite = SPEC.name

    def __init__(self, protocol: str, group: int | None = None, tracks: bool = False) -> None:
        """`tracks`: judge tracks as well, by their union in each frame."""
        super().__init__(protocol)
        self.group, self.tracks = group or SPEC.clips_per_group.get(protocol, 1), tracks

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        parts = [
            self._values(stacked([dense.labels(t) > 0 for t in frames], truth), truth, valid)
            for dense, truth, valid, frames in foreground_parts(prediction, target, self.tracks)
        ]
        self.clips.put(index, prediction.id, np.concatenate(parts))  # (M, 2)

    def add(self, index: int, clip_id: str, predicted: Tensor, truth: Tensor, valid: Tensor) -> None:
        """Take in the M annotated frames of a clip: three of (M, H, W) bool."""
        self.clips.put(index, clip_id, self._values(predicted, truth, valid))

    def _values(self, predicted: Tensor, truth: Tensor, valid: Tensor) -> Array:
        iou = mask_iou(predicted, truth, valid, self.protocol)
        sounding = _count(truth & valid) > 0
        return np.stack([iou, sounding], 1)

    def compute(self) -> dict[str, float]:
        frames = self.clips.joined()
        if self.protocol != "repaired":
            means = [group[:, 0].mean() for group in self.clips.groups(self.group) if len(group)]
            return {"J": _mean(means)}
        return {"J": _mean(frames[:, 0]), "J_sounding": _mean(frames[frames[:, 1] > 0, 0])}

    def rows(self) -> list[Row]:
        return [
            {"index": index, "id": clip_id, "frames": len(values), "J": _mean(values[:, 0])}
            for index, clip_id, values in self.clips
        ]


class ForegroundF(TableMetric):
    """F, the maximum over 255 thresholds of the mean F curve over annotated frames whose truth is not empty.

    Published and cavp: mean over groups of `group` clips, in data-set order, of each group's maximum, 0 for a group
    without such frames. Repaired: one maximum over the whole data set.
    """

    suite = SPEC.name

    def __init__(self, protocol: str, group: int | None = None, tracks: bool = False) -> None:
        """`tracks`: judge tracks as well, by their union in each frame."""
        super().__init__(protocol)
        self.group, self.tracks = group or SPEC.clips_per_group.get(protocol, 1), tracks

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        parts = [
            self._values(stacked([dense.foreground(t) for t in frames], truth), truth, valid)
            for dense, truth, valid, frames in foreground_parts(prediction, target, self.tracks)
        ]
        self.clips.put(index, prediction.id, np.sum(parts, 0)[None])  # (1, 2 + 255)

    def add(self, index: int, clip_id: str, probabilities: Tensor, truth: Tensor, valid: Tensor) -> None:
        """Take in the M annotated frames of a clip: (M, H, W) float32 in [0, 1], and two of (M, H, W) bool."""
        self.clips.put(index, clip_id, self._values(probabilities, truth, valid)[None])

    def _values(self, probabilities: Tensor, truth: Tensor, valid: Tensor) -> Array:
        sounding = (truth & valid).flatten(1).any(1)
        curves = f_curve(probabilities[sounding], truth[sounding], valid[sounding])
        found: Array = np.concatenate([[len(truth), len(curves)], curves.sum(0)])
        return found

    def compute(self) -> dict[str, float]:
        whole = self.clips.joined()
        if self.protocol != "repaired":
            groups = [group for group in self.clips.groups(self.group) if group[:, 0].sum()]
            return {"F": _mean([_best(group) for group in groups])}
        return {"F": _best(whole) if whole[:, 1].any() else float("nan")}

    def rows(self) -> list[Row]:
        return [
            {"index": index, "id": clip_id, "F": _best(values) if values[:, 1].any() else float("nan")}
            for index, clip_id, values in self.clips
        ]


def _best(values: Array) -> float:
    """Maximum of the mean curve of (n, 2 + 255) rows; 0 where no frame has a curve."""
    return float((values[:, 2:].sum(0) / max(values[:, 1].sum(), 1)).max())


def _mean(values: Sequence[float] | Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def annotated_frames(prediction: Prediction, target: Target) -> tuple[DensePrediction, Tensor, Tensor, list[int]]:
    """The prediction, (M, H, W) bool truth and valid pixels of the M annotated frames, and which frames they are."""
    dense, known = check_dense(prediction, target)
    labels = known.labels[known.annotated].cpu()
    return dense, (labels > 0) & (labels != IGNORE), labels != IGNORE, known.annotated.nonzero().flatten().tolist()


def foreground_parts(
    prediction: Prediction, target: Target, tracks: bool = True
) -> Iterator[tuple[DensePrediction, Tensor, Tensor, list[int]]]:
    """Yield the output of `annotated_frames`: for a dense clip at once, for tracks (their union in each frame) a few
    frames at a time, so that masks of a long video are never there together.

    Raises:
        TypeError: tracks where they are not to be judged.
        ValueError: frames or sizes differ, or a logit is NaN.
    """
    if not tracks or (isinstance(prediction, DensePrediction) and isinstance(target, DenseTarget)):
        yield annotated_frames(prediction, target)
        return
    known = target.annotated.nonzero().flatten().tolist()
    for begin in range(0, max(len(known), 1), FRAMES_AT_ONCE):
        frames = known[begin : begin + FRAMES_AT_ONCE]
        yield annotated_frames(united(prediction, frames), united_truth(target, frames, prediction.size))


def stacked(frames: list[Tensor], like: Tensor) -> Tensor:
    """(M, H, W) on the CPU; also where there is no frame."""
    return torch.stack(frames).cpu() if frames else torch.zeros(like.shape, dtype=like.dtype)
