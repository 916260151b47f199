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
    return _classes(*full_size(prediction, frame), class_names(task))


def full_size(prediction: DensePrediction, frame: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels (H, W) uint8 of one frame, and (n,) the probability of its label at each pixel of the foreground, row by
    row.

    The same as `prediction.labels` and `prediction.probabilities`, in strips of rows, without the classes that win
    nowhere and the rows where none wins: interpolation is linear, so one that is below the background on the small map
    is below it everywhere between.
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
    """Rows of a map of `height` that interpolation makes of those (h,) that are true, and of their neighbours."""
    there = rows.nonzero()[:, 0].tolist()
    if not there:
        return range(0)
    larger = height / len(rows)
    first, last = (there[0] - 0.5) * larger - 1, (there[-1] + 1.5) * larger + 1
    return range(max(0, int(first)), min(height, int(last) + 1))


def _strip(logits: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
    """Rows `top` to `bottom` of (C, h, w) logits brought to `size` by bilinear interpolation (pixel centres)."""
    if tuple(logits.shape[-2:]) == size:
        return logits[:, top:bottom]
    upper, lower, share = _between(logits.shape[1], size[0], top, bottom, logits.device)
    share = share[:, None]
    rows = logits.index_select(1, upper) * (1 - share) + logits.index_select(1, lower) * share  # (C, rows, w)
    return F.interpolate(rows[None], (bottom - top, size[1]), mode="bilinear", align_corners=False)[0]


def _values(logits: Tensor, size: tuple[int, int], top: int, bottom: int, inside: Tensor) -> Tensor:
    """(C, n) of the same rows, at n places counted along them."""
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
    """Of the places `first` to `last` of a side of `large` pixels: the two of `small` that each lies between, and the
    share of the second."""
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
