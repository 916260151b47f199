"""Pictures of the best and the worst clips of an evaluation: truth above, prediction below, frame by frame."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from avseg.engine.report import Report
from avseg.io.image import write_png
from avseg.io.rle import decode
from avseg.metrics.tracks import as_tracks
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.types import (
    Clip,
    DensePrediction,
    DenseTarget,
    InstancePrediction,
    InstanceTarget,
    Prediction,
    Rle,
    Task,
    TrackTarget,
)

MOST_FRAMES = 10
TALLEST = 360
"""Pixels of a picture of tracks at most, from top to bottom."""

Look: TypeAlias = Callable[[int], tuple[Clip, Prediction]]
"""Gives a clip with its truth, and its prediction, by its place in the data set."""

Picture: TypeAlias = npt.NDArray[np.uint8]


def write_pictures(task: Task, report: Report, folder: Path, count: int, look: Look) -> list[Path]:
    """Write a PNG for each of the `count` best and `count` worst clips; their names bear rank, score and protocol.

    They are ranked by the first score that clips have as well.
    """
    name = next(score for score in report.scores if score in report.rows[0])
    shown, protocol = name.replace("/", "-"), report.protocols[0]
    scored = [row for row in report.rows if not math.isnan(float(row[name]))]
    ordered = sorted(scored, key=lambda row: float(row[name]), reverse=True)
    chosen = [("best", rank, row) for rank, row in enumerate(ordered[:count], 1)]
    chosen += [("worst", rank, row) for rank, row in enumerate(ordered[::-1][:count], 1)]
    paths = []
    for end, rank, row in chosen:
        clip_name = re.sub(r"[^\w.-]+", "_", str(row["id"]))
        path = folder / f"{end}_{rank:02d}_{shown}_{float(row[name]):.3f}_{protocol}_{clip_name}.png"
        write_png(path, clip_picture(*look(int(row["index"])), task))
        paths.append(path)
    return paths


def clip_picture(clip: Clip, prediction: Prediction, task: Task) -> Picture:
    """(2 H, T W, 3) uint8: frames with their truth above the same frames with the prediction.

    Of dense labels the first ten frames; of tracks ten frames from all over the clip, made smaller where they are
    large.
    """
    if isinstance(prediction, InstancePrediction):
        assert isinstance(clip.target, (InstanceTarget, TrackTarget))
        return _tracks_picture(clip, as_tracks(clip.target), prediction, task)
    assert isinstance(clip.target, DenseTarget) and isinstance(prediction, DensePrediction)
    names = dict(enumerate(task.classes, 1))
    columns = []
    for frame in range(min(len(clip.frames), MOST_FRAMES)):
        truth, predicted = clip.target.labels[frame].numpy(), prediction.labels(frame).cpu().numpy()
        picture = _sized(clip.frames[frame], truth.shape)
        labels = [np.where(ids == 255, 0, ids) for ids in (truth, predicted)]
        columns.append(np.concatenate([overlay(picture, ids, names, palette(task)) for ids in labels]))
    return np.concatenate(columns, 1)


def _tracks_picture(clip: Clip, truth: TrackTarget, prediction: InstancePrediction, task: Task) -> Picture:
    def named(classes: Tensor, scores: Sequence[float] | None = None) -> dict[int, str]:
        words = [task.classes[number - 1] for number in classes.tolist()]
        return {i: word if scores is None else f"{word} {scores[i - 1]:.2f}" for i, word in enumerate(words, 1)}

    rows = [
        (truth.masks, named(truth.classes)),
        (prediction.masks, named(prediction.classes, prediction.scores.tolist())),
    ]
    columns = []
    for frame in np.unique(np.linspace(0, len(clip.frames) - 1, MOST_FRAMES).round().astype(int)).tolist():
        maps = [_numbers([track[frame] for track in masks], truth.size) for masks, _ in rows]
        picture = _sized(clip.frames[frame], maps[0].shape)
        painted = [overlay(picture, ids, names, palette(task)) for ids, (_, names) in zip(maps, rows, strict=True)]
        columns.append(np.concatenate(painted))
    return np.concatenate(columns, 1)


def _numbers(masks: Sequence[Rle | None], size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """(h, w) numbers of the tracks from 1 on, 0 where there is none; large frames are thinned."""
    step = -(-size[0] // TALLEST)
    numbers = np.zeros(size, dtype=np.int64)[::step, ::step]
    for number, mask in enumerate(masks, 1):
        if mask is not None:
            numbers[decode(mask)[::step, ::step]] = number
    return numbers


def _sized(frame: Tensor, shape: tuple[int, ...]) -> Picture:
    """A (3, H, W) frame as (h, w, 3) uint8."""
    height, width = shape
    return np.asarray(Image.fromarray(frame.permute(1, 2, 0).numpy()).resize((width, height)))
