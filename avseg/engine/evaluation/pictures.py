"""Pictures of the best and the worst clips of an evaluation: frames, truth and prediction, row by row with captions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from avseg.engine.evaluation.report import Report
from avseg.io.image import write_png
from avseg.io.rle import decode
from avseg.metrics.tracks.table import as_tracks
from avseg.render.overlay import overlay
from avseg.render.palette import Colour, palette
from avseg.types import (
    IGNORE,
    Clip,
    DensePrediction,
    DenseTarget,
    InstancePrediction,
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
        title = f"{row['id']}: {name} {float(row[name]):.3f} ({protocol}), number {rank} of the {end}"
        write_png(path, clip_picture(*look(int(row["index"])), task, title))
        paths.append(path)
    return paths


def clip_picture(clip: Clip, prediction: Prediction | Mapping[str, Prediction], task: Task, title: str = "") -> Picture:
    """(h, w, 3) uint8: frames as they are, with their truth, and with the prediction, one row below the other.

    Each row has a caption with its name and the names of what is painted in it, each frame its second.
    Of dense labels the first ten frames; of tracks ten frames from all over the clip, made smaller where they are
    large.

    Args:
        clip: With its truth.
        prediction: One, or several by their captions, each of which has its row.
        title: Written above all.
    """
    several = prediction if isinstance(prediction, Mapping) else {"prediction": prediction}
    if isinstance(clip.target, DenseTarget):
        chosen, rows = _of_labels(clip.target, several, task)
    else:
        assert clip.target is not None
        chosen, rows = _of_tracks(clip, as_tracks(clip.target), several, task)
    pictures = [_sized(clip.frames[frame], rows[0].maps[0].shape) for frame in chosen]
    heads = [_head(clip, frame) for frame in chosen]
    return _sheet(title, heads, pictures, rows, palette(task))


@dataclass(frozen=True)
class _Row:
    """The labels painted into a row of frames."""

    caption: str
    maps: list[npt.NDArray[np.int64]]
    """(h, w) ids of each frame, 0 where nothing is painted."""
    names: dict[int, str]
    """By id."""

    def shown(self) -> list[int]:
        """The ids that are painted in some frame."""
        return [number for number in np.unique(np.stack(self.maps)).tolist() if number]


def _of_labels(target: DenseTarget, predictions: Mapping[str, Prediction], task: Task) -> tuple[list[int], list[_Row]]:
    chosen = list(range(min(len(target.labels), MOST_FRAMES)))
    names = dict(enumerate(task.classes, 1)) or {1: "sounding"}
    maps = {"truth": [target.labels[frame].numpy() for frame in chosen]}
    for caption, prediction in predictions.items():
        assert isinstance(prediction, DensePrediction)
        maps[caption] = [prediction.labels(frame).cpu().numpy() for frame in chosen]
    shown = {
        caption: [np.where(ids == IGNORE, 0, ids if task.classes else ids > 0) for ids in row]
        for caption, row in maps.items()
    }
    return chosen, [_Row(caption, row, names) for caption, row in shown.items()]


def _of_tracks(
    clip: Clip, truth: TrackTarget, predictions: Mapping[str, Prediction], task: Task
) -> tuple[list[int], list[_Row]]:
    def row(caption: str, masks: Sequence[Sequence[Rle | None]], classes: Tensor, scores: Sequence[float]) -> _Row:
        words = [task.classes[number - 1] for number in classes.tolist()]
        names = {i: f"{word} {scores[i - 1]:.2f}" if scores else word for i, word in enumerate(words, 1)}
        return _Row(caption, [_numbers([track[frame] for track in masks], truth.size) for frame in chosen], names)

    chosen = np.unique(np.linspace(0, len(clip.frames) - 1, MOST_FRAMES).round().astype(int)).tolist()
    rows = [row("truth", truth.masks, truth.classes, ())]
    for caption, each in predictions.items():
        assert isinstance(each, InstancePrediction)
        rows.append(row(caption, each.masks, each.classes, each.scores.tolist()))
    return chosen, rows


def _head(clip: Clip, frame: int) -> str:
    """Return the heading of a frame."""
    assert clip.target is not None
    there = bool(clip.target.annotated[frame])
    return f"{float(clip.times[frame]):g} s" + ("" if there else ", no truth")


def _sheet(
    title: str, heads: Sequence[str], pictures: Sequence[Picture], rows: Sequence[_Row], colours: npt.NDArray[np.uint8]
) -> Picture:
    """All rows with their captions."""
    height, width = pictures[0].shape[:2]
    letters = min(max(12, round(height / 14)), 24)
    whole = width * len(pictures)
    columns = np.concatenate([_line([(head, None)], width, letters) for head in heads], 1)
    parts = [_line([(title, None)], whole, letters)] if title else []
    parts += [_line([("picture", None)], whole, letters), columns, np.concatenate(pictures, 1)]
    for row in rows:
        painted = [
            overlay(picture, ids, row.names if len(set(row.names.values())) > 1 else {}, colours)
            for picture, ids in zip(pictures, row.maps, strict=True)
        ]
        words: list[tuple[str, Colour | None]] = [(row.caption, None)]
        words += [(row.names[number], tuple(colours[number].tolist())) for number in row.shown()] or [("nothing", None)]
        parts += [_line(words, whole, letters), np.concatenate(painted, 1)]
    return np.concatenate(parts)


def _line(words: Sequence[tuple[str, Colour | None]], width: int, letters: int) -> Picture:
    """(h, width, 3) dark words on white, each behind a square of its colour; those without room are counted."""
    font, margin = ImageFont.load_default(letters), letters // 2
    image = Image.new("RGB", (width, letters + 2 * margin), "white")
    draw, middle, left = ImageDraw.Draw(image), letters // 2 + margin, margin
    for number, (text, colour) in enumerate(words):
        square = 0 if colour is None else letters
        rest = f"and {len(words) - number} more"
        room = width - margin - (font.getlength(rest) if number + 1 < len(words) else 0)
        if number and left + square + margin + font.getlength(text) > room:
            draw.text((left, middle), rest, fill="black", font=font, anchor="lm")
            break
        if colour is not None:
            draw.rectangle((left, margin, left + letters - 1, margin + letters - 1), fill=colour)
            left += letters + margin // 2
        draw.text((left, middle), text, fill="black", font=font, anchor="lm")
        left += round(font.getlength(text)) + 2 * margin
    return np.asarray(image)


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
