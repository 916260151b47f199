"""Tables of a video's true and predicted tracks, frame by frame: what mAP, HOTA and FSLA all look at."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from avseg.io.rle import encode
from avseg.metrics.base import Array
from avseg.types import InstancePrediction, InstanceTarget, Prediction, Rle, Target, TrackTarget

Flags: TypeAlias = npt.NDArray[np.bool_]
Ids: TypeAlias = npt.NDArray[np.int64]

ALPHAS: Array = np.arange(5, 100, 5) / 100
"""(19,) IoU from 0.05 to 0.95 at which HOTA and FSLA are taken."""

MOST_AREAS = 255
"""Masks that pycocotools takes the areas of in one call; from 256 on it fails (their number is put into 8 bits)."""


@dataclass(frozen=True, eq=False)
class VideoTable:
    """T annotated frames of a video with G true and P predicted tracks, in the order of their files."""

    truth_ids: Ids
    """(G,)."""
    truth_classes: Ids
    """(G,) 1..K."""
    classes: Ids
    """(P,) 1..K."""
    scores: Array
    """(P,)."""
    truth_there: Flags
    """(G, T) frames for which a mask is given, also an empty one."""
    there: Flags
    """(P, T) the same of the predictions."""
    truth_areas: Array
    """(G, T) pixels of the masks, 0 where none is given."""
    areas: Array
    """(P, T)."""
    noted_areas: Array
    """(G, T) areas as the file of the truth has them, NaN where there is no mask."""
    iou: Array
    """(T, G, P); 0 where either is empty."""
    pixels: int
    """Pixels of a frame."""

    def track_iou(self) -> Array:
        """(G, P) IoU over space and time: pixels in both over pixels in either, summed over frames; 0 where none is."""
        sums = self.truth_areas.T[:, :, None] + self.areas.T[:, None]  # (T, G, P)
        both = np.rint(self.iou * sums / (1 + self.iou)).sum(0)
        either = sums.sum(0) - both
        iou: Array = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
        return iou

    def without_empty(self) -> VideoTable:
        """Return the table without empty masks and without tracks that have only empty masks."""
        truth_there, there = self.truth_there & (self.truth_areas > 0), self.there & (self.areas > 0)
        true, predicted = truth_there.any(1), there.any(1)
        return replace(
            self,
            truth_ids=self.truth_ids[true],
            truth_classes=self.truth_classes[true],
            classes=self.classes[predicted],
            scores=self.scores[predicted],
            truth_there=truth_there[true],
            there=there[predicted],
            truth_areas=self.truth_areas[true],
            areas=self.areas[predicted],
            noted_areas=np.where(truth_there, self.noted_areas, np.nan)[true],
            iou=self.iou[:, true][:, :, predicted],
        )


_TABLES: weakref.WeakKeyDictionary[InstancePrediction, tuple[weakref.ref[Target], VideoTable]] = (
    weakref.WeakKeyDictionary()
)


def video_table(prediction: Prediction, target: Target) -> VideoTable:
    """The table of a video. Metrics of the same pair of objects share one, for as long as the pair lives.

    Raises:
        TypeError: a dense prediction or truth.
        ValueError: frames or sizes differ, or a score is NaN.
    """
    if not isinstance(prediction, InstancePrediction) or not isinstance(target, (InstanceTarget, TrackTarget)):
        got = f"{type(prediction).__name__} and {type(target).__name__}"
        raise TypeError(f"clip {prediction.id!r}: this metric scores predicted tracks against true ones, got {got}")
    judged, table = _TABLES.get(prediction, (None, None))
    if table is None or judged is None or judged() is not target:
        table = _built(prediction, as_tracks(target))
        _TABLES[prediction] = (weakref.ref(target), table)
    return table


def as_tracks(target: InstanceTarget | TrackTarget) -> TrackTarget:
    """Truth as run lengths; empty masks of an `InstanceTarget` become None."""
    if isinstance(target, TrackTarget):
        return target
    full = target.masks.flatten(2).any(2).tolist()  # N lists of T
    masks: list[list[Rle | None]] = [
        [encode(mask) if seen else None for mask, seen in zip(track, there, strict=True)]
        for track, there in zip(target.masks, full, strict=True)
    ]
    size = (target.masks.shape[2], target.masks.shape[3])
    return TrackTarget(masks, target.classes.cpu(), target.track_ids.cpu(), target.annotated.cpu(), size)


def _built(prediction: InstancePrediction, truth: TrackTarget) -> VideoTable:
    _check_pair(prediction, truth)
    frames = truth.annotated.nonzero().flatten().tolist()
    true = [[track[t] for t in frames] for track in truth.masks]
    predicted = [[track[t] for t in frames] for track in prediction.masks]
    truth_there, truth_areas = _areas(true, len(frames))
    there, areas = _areas(predicted, len(frames))
    noted = truth_areas if truth.areas is None else truth.areas.cpu().numpy()[:, frames]
    return VideoTable(
        truth_ids=truth.track_ids.cpu().numpy(),
        truth_classes=truth.classes.cpu().numpy(),
        classes=prediction.classes.cpu().numpy(),
        scores=prediction.scores.detach().cpu().double().numpy(),
        truth_there=truth_there,
        there=there,
        truth_areas=truth_areas,
        areas=areas,
        noted_areas=np.where(truth_there, noted, np.nan),
        iou=_frame_iou(true, predicted, truth_areas > 0, areas > 0),
        pixels=truth.size[0] * truth.size[1],
    )


def _areas(masks: list[list[Rle | None]], frames: int) -> tuple[Flags, Array]:
    """Which of (N, T) masks are given, and their pixels."""
    from pycocotools import mask as coco

    there = np.array([[mask is not None for mask in track] for track in masks], dtype=bool).reshape(-1, frames)
    areas = np.zeros(there.shape)
    given = [mask for track in masks for mask in track if mask is not None]
    parts = [coco.area(given[first : first + MOST_AREAS]) for first in range(0, len(given), MOST_AREAS)]
    areas[there] = np.concatenate(parts) if parts else 0
    return there, areas


def _frame_iou(
    true: Sequence[Sequence[Rle | None]], predicted: Sequence[Sequence[Rle | None]], truth_full: Flags, full: Flags
) -> Array:
    """(T, G, P) IoU of the masks that hold a pixel; one call a frame, which skips pairs whose boxes do not meet."""
    from pycocotools import mask as coco

    iou = np.zeros((truth_full.shape[1], len(true), len(predicted)))
    for t in np.flatnonzero(truth_full.any(0) & full.any(0)).tolist():
        rows, columns = np.flatnonzero(truth_full[:, t]).tolist(), np.flatnonzero(full[:, t]).tolist()
        pairs = coco.iou([predicted[p][t] for p in columns], [true[g][t] for g in rows], [0] * len(rows))
        iou[t][np.ix_(rows, columns)] = np.asarray(pairs).T
    return iou


def _check_pair(prediction: InstancePrediction, truth: TrackTarget) -> None:
    """Refuse what cannot be compared."""
    name, frames = f"clip {prediction.id!r}", len(truth.annotated)
    if tuple(prediction.size) != tuple(truth.size):
        raise ValueError(
            f"{name}: predicted masks of size {tuple(prediction.size)}, the truth is {tuple(truth.size)} (H, W); "
            "set the clip's output_size to the size of its truth"
        )
    if bool(prediction.scores.isnan().any()):
        raise ValueError(f"{name}: a track's score is NaN; look for it in the model's weights or its input")
    for number, track in enumerate(prediction.masks, 1):
        if len(track) != frames:
            raise ValueError(f"{name}: predicted track {number} has {len(track)} masks, the truth has {frames} frames")
    for what, tracks in (("predicted", prediction.masks), ("true", truth.masks)):
        sizes = {tuple(mask["size"]) for track in tracks for mask in track if mask is not None}
        if sizes - {tuple(truth.size)}:
            other = min(sizes - {tuple(truth.size)})
            raise ValueError(f"{name}: a {what} mask has the size {other}, wanted {tuple(truth.size)} (H, W)")
