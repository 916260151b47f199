"""From a prediction at the network's size to the objects of one frame at the video's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from avseg.inference.records import Detection, Track, class_names
from avseg.io.rle import area, encode
from avseg.types import DensePrediction, InstancePrediction, Prediction, Task

MOST_TRACKS = 255
"""What label maps can tell apart."""
STRIP = 1 << 22
"""Logits that are held at the video's size at once: 71 classes of a large picture would fill gigabytes."""


def objects_in(prediction: Prediction, frame: int, task: Task) -> tuple[Detection, ...]:
    """The objects of one frame of a prediction, in the order of their ids."""
    if isinstance(prediction, InstancePrediction):
        return _tracks(prediction, frame, task)
    labels, confidence = full_size(prediction, frame)
    return _classes(labels, confidence, class_names(task))


def full_size(prediction: DensePrediction, frame: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels (H, W) uint8 of one frame, and the probability (H, W) of its label at each pixel of the foreground.

    The same as `prediction.labels` and `prediction.probabilities`, in strips of rows and without the classes that win
    nowhere: interpolation is linear, so one that is below the background on the small map is below it everywhere.
    """
    logits = prediction.logits[frame].float()  # (C, h, w)
    size = prediction.size
    if logits.shape[0] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits])  # sigmoid(x) is the softmax of (0, x)
    rivals = ((logits - logits[:1]).flatten(1).amax(1) >= 0).nonzero()[:, 0]  # (R,), the background among them
    labels = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    confidence = torch.zeros(size, device=logits.device)
    rows = max(1, STRIP // (logits.shape[0] * size[1]))
    for top in range(0, size[0] if len(rivals) > 1 else 0, rows):
        strip = slice(top, min(top + rows, size[0]))
        labels[strip] = rivals[_strip(logits[rivals], size, strip.start, strip.stop).max(0).indices].to(torch.uint8)
        held = labels[strip].any(1).nonzero()[:, 0]
        if len(held):
            strip = slice(top + int(held[0]), top + int(held[-1]) + 1)
            inside = labels[strip] > 0
            values = _strip(logits, size, strip.start, strip.stop)[:, inside]  # (C, pixels)
            confidence[strip][inside] = (values.amax(0) - values.logsumexp(0)).exp()
    return labels.cpu().numpy(), confidence.cpu().numpy()


def _strip(logits: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
    """Rows `top` to `bottom` of (C, h, w) logits brought to `size` by bilinear interpolation (pixel centres)."""
    height, width = size
    if tuple(logits.shape[-2:]) == size:
        return logits[:, top:bottom]
    at = torch.arange(top, bottom, dtype=torch.float32, device=logits.device) + 0.5
    at = (at * (logits.shape[1] / height) - 0.5).clamp(min=0)
    upper = at.long().clamp(max=logits.shape[1] - 1)
    lower = (upper + 1).clamp(max=logits.shape[1] - 1)
    share = (at - upper)[:, None]
    between = logits[:, upper] * (1 - share) + logits[:, lower] * share  # (C, rows, w)
    return F.interpolate(between[None], (bottom - top, width), mode="bilinear", align_corners=False)[0]


def _classes(labels: NDArray[np.uint8], confidence: NDArray[np.float32], names: Sequence[str]) -> tuple[Detection, ...]:
    areas = np.bincount(labels.ravel(), minlength=len(names) + 1)
    sums = np.bincount(labels.ravel(), weights=confidence.ravel(), minlength=len(names) + 1)
    return tuple(
        Detection.of(i, i, names[i - 1], float(sums[i] / areas[i]), encode(labels == i))
        for i in np.flatnonzero(areas).tolist()
        if i > 0
    )


def tracks_of(prediction: Prediction, task: Task) -> tuple[Track, ...]:
    """All that was tracked, in the order of the prediction; nothing of a dense one.

    Raises:
        ValueError: more tracks than label maps can tell apart.
    """
    if not isinstance(prediction, InstancePrediction):
        return ()
    if len(prediction.masks) > MOST_TRACKS:
        raise ValueError(
            f"{prediction.id} has {len(prediction.masks)} tracks and label maps tell {MOST_TRACKS} apart; give a "
            "higher score, fewer candidates or fewer tracks"
        )
    names, classes = class_names(task), prediction.classes.tolist()
    identities = zip(_numbers(prediction.track_ids.tolist()), classes, prediction.scores.tolist(), strict=True)
    return tuple(Track(n, class_id, names[class_id - 1], score) for n, class_id, score in identities)


def _numbers(ids: list[int]) -> list[int]:
    """The tracks' numbers in label maps: their ids where all fit, else their places in the order of ids."""
    if all(1 <= one <= MOST_TRACKS for one in ids):
        return ids
    places = {one: place for place, one in enumerate(sorted(ids), start=1)}
    return [places[one] for one in ids]


def _tracks(prediction: InstancePrediction, frame: int, task: Task) -> tuple[Detection, ...]:
    """Tracks seen in this frame, in the order of their numbers."""
    seen = []
    for track, masks in zip(tracks_of(prediction, task), prediction.masks, strict=True):
        rle = masks[frame]
        if rle is not None and area(rle):
            seen.append(Detection.of(track.id, track.class_id, track.name, track.score, rle))
    return tuple(sorted(seen, key=lambda one: one.id))
