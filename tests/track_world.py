"""Seeded videos of rectangles that move, sound and fall silent, and predictions that mostly agree with them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from avseg.io.rle import encode
from avseg.types import InstancePrediction, Rle, TrackTarget

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


def box_mask(box: Box | None, size: tuple[int, int]) -> Rle | None:
    """The run lengths of a rectangle."""
    if box is None:
        return None
    mask = np.zeros(size, dtype=bool)
    top, left, height, width = box
    mask[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = True
    return encode(mask)


def empty_mask(size: tuple[int, int]) -> Rle:
    return encode(np.zeros(size, dtype=bool))


def truth_of(
    tracks: Sequence[Sequence[Box | None]],
    classes: Sequence[int],
    size: tuple[int, int] = (30, 40),
    frames: int | None = None,
    ids: Sequence[int] | None = None,
) -> TrackTarget:
    """Truth of given boxes; `frames` where there is no track."""
    count = frames if frames is not None else len(tracks[0])
    return TrackTarget(
        [[box_mask(box, size) for box in track] for track in tracks],
        torch.tensor(classes, dtype=torch.int64),
        torch.tensor(ids if ids is not None else range(1, len(tracks) + 1), dtype=torch.int64),
        torch.ones(count, dtype=torch.bool),
        size,
    )


def found_of(
    tracks: Sequence[Sequence[Box | str | None]],
    classes: Sequence[int],
    scores: Sequence[float] | None = None,
    size: tuple[int, int] = (30, 40),
    name: str = "video",
) -> InstancePrediction:
    """Predictions of given boxes; "" is an empty mask."""
    masks = [[empty_mask(size) if box == "" else box_mask(box, size) for box in track] for track in tracks]  # type: ignore[arg-type]
    values = scores if scores is not None else [0.9 - 0.01 * i for i in range(len(tracks))]
    return InstancePrediction(
        name,
        masks,
        torch.tensor(values, dtype=torch.float32),
        torch.tensor(classes, dtype=torch.int64),
        torch.arange(1, len(tracks) + 1),
        size,
    )


def random_video(
    seed: int, frames: int = 7, classes: int = 3, size: tuple[int, int] = (60, 80), ties: bool = False
) -> tuple[InstancePrediction, TrackTarget]:
    """Up to four true tracks; predictions are jittered, of a wrong class, split, invented or missing."""
    draw = random.Random(seed)
    true, true_classes = [], []
    found, found_classes = [], []
    for _ in range(draw.randint(0, 4)):
        track = _walk(draw, frames, size)
        true.append(track)
        true_classes.append(draw.randint(1, classes))
        for _ in range(draw.choice([0, 1, 1, 1, 2])):
            found.append([_jittered(draw, box, size) for box in track])
            found_classes.append(true_classes[-1] if draw.random() < 0.8 else draw.randint(1, classes))
    for _ in range(draw.randint(0, 2)):
        found.append(_walk(draw, frames, size))
        found_classes.append(draw.randint(1, classes))
    order = draw.sample(range(len(found)), len(found))
    scores = [round(draw.random(), 1) if ties else draw.random() for _ in order]
    prediction = found_of(
        [found[i] for i in order], [found_classes[i] for i in order], scores, size, name=f"video{seed:03d}"
    )
    ids = draw.sample(range(1, 50), len(true))
    return prediction, truth_of(true, true_classes, size, frames, ids)


def _walk(draw: random.Random, frames: int, size: tuple[int, int]) -> list[Box | None]:
    """A box that drifts, silent in some frames, sounding in one at least."""
    height, width = draw.randint(4, size[0] // 2), draw.randint(4, size[1] // 2)
    top, left = draw.randint(0, size[0] - height), draw.randint(0, size[1] - width)
    down, right = draw.randint(-2, 2), draw.randint(-2, 2)
    track: list[Box | None] = []
    for t in range(frames):
        box = (min(max(top + down * t, 0), size[0] - height), min(max(left + right * t, 0), size[1] - width))
        track.append((*box, height, width) if draw.random() < 0.7 else None)
    if not any(track):
        track[draw.randrange(frames)] = (top, left, height, width)
    return track


def _jittered(draw: random.Random, box: Box | None, size: tuple[int, int]) -> Any:
    if draw.random() < 0.15:
        return draw.choice([None, "", (0, 0, 5, 5)])
    if box is None:
        return draw.choice([None, ""])
    top, left, height, width = box
    top, left = max(top + draw.randint(-2, 2), 0), max(left + draw.randint(-2, 2), 0)
    return (min(top, size[0] - 2), min(left, size[1] - 2), max(height + draw.randint(-2, 2), 1), width)
