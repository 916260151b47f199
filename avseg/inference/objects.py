"""Conversion of a prediction at the network's size to the objects of one frame at the video's size."""

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
"""Largest number of tracks that label maps can hold."""
STRIP = 1 << 22
"""Logits to hold at the video's size at once; 71 classes of a large picture would fill gigabytes."""


def objects_in(prediction: Prediction, frame: int, task: Task) -> tuple[Detection, ...]:
    """Return the objects of one frame of a prediction, in the order of their ids."""
    if isinstance(prediction, InstancePrediction):
        return _tracks(prediction, frame, task)
    return _classes(*full_size(prediction, frame), class_names(task))


def full_size(prediction: DensePrediction, frame: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return labels (H, W) uint8 of one frame, and the probability (n,) of the label at each foreground pixel, row by
    row.

    The result equals `prediction.labels` and `prediction.probabilities`. It is computed in strips of rows, without
    classes and rows that are background everywhere: interpolation is linear, so a class below the background on the
    small map stays below it in between.
    """
    logits = prediction.logits[frame].float()  # (C, h, w)
    height, width = prediction.size
    if logits.shape[0] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits])  # sigmoid(x) is the softmax of (0, x)
    lead = logits[1:] - logits[:1]  # (K, h, w)
    rivals = [0, *((lead.flatten(1).amax(1) >= 0).nonzero()[:, 0] + 1).tolist()]
    labels = torch.zeros(prediction.size, dtype=torch.uint8, device=logits.device)
    confidence = []
    held = _reached(lead.amax((0, 2)) >= 0, height)
    rows = max(1, STRIP // (logits.shape[0] * width))
    for top in range(held.start, held.stop, rows):
        bottom = min(top + rows, held.stop)
        strip = labels[top:bottom]
        best, *others = _strip(logits[rivals], prediction.size, top, bottom)
        for rival, values in zip(rivals[1:], others, strict=True):
            strip.masked_fill_(values > best, rival)
            best = torch.maximum(best, values)
        inside = strip.flatten().nonzero()[:, 0]
        values = _values(logits, prediction.size, top, bottom, inside)
        confidence.append(values.softmax(0).amax(0))
    return labels.cpu().numpy(), torch.cat(confidence).cpu().numpy() if confidence else np.zeros(0, np.float32)


def _reached(rows: Tensor, height: int) -> range:
    """Return the rows of a map of `height` that interpolation computes from the true rows (h,) and their neighbours."""
    there = rows.nonzero()[:, 0].tolist()
    if not there:
        return range(0)
    larger = height / len(rows)
    first, last = (there[0] - 0.5) * larger - 1, (there[-1] + 1.5) * larger + 1
    return range(max(0, int(first)), min(height, int(last) + 1))


def _strip(logits: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
    """Interpolate rows `top` to `bottom` of (C, h, w) logits to `size`, bilinearly at pixel centres."""
    if tuple(logits.shape[-2:]) == size:
        return logits[:, top:bottom]
    upper, lower, share = _between(logits.shape[1], size[0], top, bottom, logits.device)
    share = share[:, None]
    rows = logits.index_select(1, upper) * (1 - share) + logits.index_select(1, lower) * share  # (C, rows, w)
    return F.interpolate(rows[None], (bottom - top, size[1]), mode="bilinear", align_corners=False)[0]


def _values(logits: Tensor, size: tuple[int, int], top: int, bottom: int, inside: Tensor) -> Tensor:
    """Return (C, n) values of the same rows at n positions, counted row by row."""
    if tuple(logits.shape[-2:]) == size:
        return logits[:, top:bottom].flatten(1).index_select(1, inside)
    width, small = size[1], logits.shape[2]
    upper, lower, share = _between(logits.shape[1], size[0], top, bottom, logits.device)
    rows = logits.index_select(1, upper).lerp(logits.index_select(1, lower), share[:, None]).flatten(1)
    left, right, share = _between(small, width, 0, width, logits.device)
    columns, start = inside % width, inside // width * small
    return rows.index_select(1, start + left[columns]).lerp(
        rows.index_select(1, start + right[columns]), share[columns]
    )


def _between(small: int, large: int, first: int, last: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two neighbours among `small` pixels of each position `first` to `last` of `large`, and the second's
    weight.
    """
    at = torch.arange(first, last, dtype=torch.float32, device=device) + 0.5
    at = (at * (small / large) - 0.5).clamp(min=0)
    lower = at.long().clamp(max=small - 1)
    return lower, (lower + 1).clamp(max=small - 1), at - lower


def _classes(labels: NDArray[np.uint8], confidence: NDArray[np.float32], names: Sequence[str]) -> tuple[Detection, ...]:
    inside = labels[labels > 0]
    areas = np.bincount(inside, minlength=len(names) + 1)
    sums = np.bincount(inside, weights=confidence, minlength=len(names) + 1)
    return tuple(
        Detection.of(i, i, names[i - 1], float(sums[i] / areas[i]), encode(labels == i))
        for i in np.flatnonzero(areas).tolist()
        if i > 0
    )


def tracks_of(prediction: Prediction, task: Task) -> tuple[Track, ...]:
    """Return all tracks in the order of the prediction; none for a dense prediction.

    Raises:
        ValueError: if there are more tracks than label maps can hold.
    """
    if not isinstance(prediction, InstancePrediction):
        return ()
    if len(prediction.masks) > MOST_TRACKS:
        raise ValueError(
            f"{prediction.id} has {len(prediction.masks)} tracks, but label maps hold {MOST_TRACKS}; "
            "use a higher score, fewer candidates or fewer tracks"
        )
    names, classes = class_names(task), prediction.classes.tolist()
    identities = zip(_numbers(prediction.track_ids.tolist()), classes, prediction.scores.tolist(), strict=True)
    return tuple(Track(n, class_id, names[class_id - 1], score) for n, class_id, score in identities)


def _numbers(ids: list[int]) -> list[int]:
    """Return the numbers of tracks in label maps: their ids if all fit, else their ranks by id."""
    if all(1 <= one <= MOST_TRACKS for one in ids):
        return ids
    places = {one: place for place, one in enumerate(sorted(ids), start=1)}
    return [places[one] for one in ids]


def _tracks(prediction: InstancePrediction, frame: int, task: Task) -> tuple[Detection, ...]:
    """Return the tracks seen in this frame, in the order of their numbers."""
    seen = []
    for track, masks in zip(tracks_of(prediction, task), prediction.masks, strict=True):
        rle = masks[frame]
        if rle is not None and area(rle):
            seen.append(Detection.of(track.id, track.class_id, track.name, track.score, rle))
    return tuple(sorted(seen, key=lambda one: one.id))
