"""A page that shows a data set: clips with painted ground truth, their sound, and when each object sounds."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.io import wavfile
from torch import Tensor

from avseg.data.base import ClipDataset
from avseg.io.rle import decode
from avseg.metrics.tracks.table import as_tracks
from avseg.nn.mel import SAMPLE_RATE, WINDOW, LogMel
from avseg.nn.resample import resample
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.render.report import Cell, Page
from avseg.render.spectrum import paint_log_mel
from avseg.types import IGNORE, Clip, DenseTarget, Target, Task

Picture = NDArray[np.uint8]
Labels = NDArray[np.int64]
MOST_FRAMES = 10
"""Largest number of frames per clip, spread over the clip."""
TALLEST = 160
"""Largest height of a frame on the page in pixels."""
SPECTRUM = (64, 640)
"""(H, W) in pixels."""
_DASHED = "A dashed border: the object sounds but is not visible."
STRIPE = 10
"""Height in pixels of a stripe that shows when an object sounds."""


@dataclass(frozen=True)
class Viewed:
    """The outcome; prints as a sentence."""

    page: Path
    clips: int
    of: int

    def __str__(self) -> str:
        return f"{self.page} shows {self.clips} of {self.of} clips; open it in a browser"


def write_view(dataset: ClipDataset, title: str, page: Path, limit: int = 12) -> Viewed:
    """Write one self-contained HTML file with clips spread over a data set and their sounds.

    Args:
        dataset: Any; a clip without truth is shown without.
        title: Title of the page.
        page: The file.
        limit: Largest number of clips to show.

    Raises:
        ValueError: a data set without clips, or a limit below one.
    """
    if limit < 1:
        raise ValueError(f"--limit is {limit}, wanted 1 or more clips")
    if not len(dataset):
        raise ValueError("the split has no clips; choose another --split")
    chosen, task = _spread(len(dataset), limit), dataset.task
    classes = f", {len(task.classes)} classes ({_listed(task.classes)})" if task.classes else ""
    built = Page(title, f"{len(chosen)} of {len(dataset)} clips. Ground truth: {task.kind}{classes}. {_DASHED}")
    for index in chosen:
        _show(built, dataset[index], task)
    return Viewed(built.write(Path(page)), len(chosen), len(dataset))


def _spread(count: int, most: int) -> list[int]:
    """Return at most some number of positions spread over `count`."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(most, count)).round())]


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _show(page: Page, clip: Clip, task: Task) -> None:
    """Return a clip: frames, ground truth, sounding objects per frame, and the sound."""
    height, width = clip.frames.shape[-2:]
    frames = _spread(len(clip.frames), MOST_FRAMES)
    truth = None if clip.target is None else Truth.of(clip.target, task)
    pictures = [clip.frames[frame].permute(1, 2, 0).numpy() for frame in frames]
    rows = [("picture", [Cell("the picture", picture=_small(picture)) for picture in pictures])]
    if truth is not None:
        rows += _truth_rows(truth, frames, pictures)
    channels = {1: "mono", 2: "stereo"}.get(len(clip.audio), f"{len(clip.audio)} channels")
    seconds, count = clip.audio.shape[1] / clip.sample_rate, len(clip.frames)
    pictured = f"{count} frame{'s' * (count != 1)} of {width} x {height} pixels"
    features = "" if clip.audio_features is None else " The data set includes audio features."
    page.heading(clip.id)
    page.timeline([f"{float(clip.times[frame]):g} s" for frame in frames], rows)
    page.text(f"{pictured}; {seconds:.1f} s of sound, {channels}, {clip.sample_rate} Hz.{features}")
    if seconds * SAMPLE_RATE >= WINDOW:
        said = "no truth" if truth is None else truth.told(clip)
        words = f"spectrogram of the sound of {clip.id}, and below it when each object sounds"
        page.listen([(_spectrum(clip, truth), words, said, _wav(clip))], tile=SPECTRUM[1])


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth of a clip for painting: ids, names, and when they sound."""

    names: dict[int, str]
    tags: dict[int, str]
    """Names painted next to the masks; none for binary ground truth."""
    labels: Callable[[int], Labels]
    """Frame -> (H, W) ids, 0 for background."""
    sounding: NDArray[np.bool_]
    """(T, N + 1) by id; includes invisible sounding objects if the data set has them."""
    annotated: list[bool]
    """By frame."""
    colours: NDArray[np.uint8]
    """(256, 3) by id."""

    @classmethod
    def of(cls, target: Target, task: Task) -> Truth:
        annotated = target.annotated.tolist()
        if isinstance(target, DenseTarget):
            names = dict(enumerate(task.classes, 1)) or {1: "sounding"}
            sounding = _of_labels(target, len(names), bool(task.classes))
            tags = names if task.classes else {}
            return cls(names, tags, lambda frame: _known(target.labels[frame]), sounding, annotated, palette(task))
        tracks = as_tracks(target)
        words = [task.classes[kind - 1] for kind in tracks.classes.tolist()]
        names = {
            n: word if words.count(word) == 1 else f"{word} {words[:n].count(word)}" for n, word in enumerate(words, 1)
        }
        sounding = np.zeros((len(annotated), len(words) + 1), bool)
        for number, masks in enumerate(tracks.masks, 1):
            sounding[:, number] = [mask is not None and bool(decode(mask).any()) for mask in masks]

        def labels(frame: int) -> Labels:
            ids = np.zeros(tracks.size, np.int64)
            for number, masks in enumerate(tracks.masks, 1):
                mask = masks[frame]
                if mask is not None:
                    ids[decode(mask)] = number
            return ids

        return cls(names, names, labels, sounding, annotated, palette(task))

    def heard(self, frame: int) -> list[int]:
        """Return the ids that sound in a frame."""
        return np.flatnonzero(self.sounding[frame]).tolist()

    def colour(self, number: int) -> tuple[int, int, int]:
        red, green, blue = self.colours[number % len(self.colours)].tolist()
        return red, green, blue

    def told(self, clip: Clip) -> str:
        """Return a line for each id: when it sounds."""
        edges = _edges(clip)
        lines = []
        for number in np.flatnonzero(self.sounding.any(0)).tolist():
            row = np.concatenate([[0], self.sounding[:, number].astype(int), [0]])
            runs = np.flatnonzero(np.diff(row)).reshape(-1, 2).tolist()
            spans = ", ".join(f"{edges[first][0]:g} to {edges[last - 1][1]:g} s" for first, last in runs)
            lines.append(f"**{self.names[number]}**: {spans}")
        return "\n".join(lines) or "nothing sounds"


def _of_labels(target: DenseTarget, count: int, has_classes: bool) -> NDArray[np.bool_]:
    """Return (T, count + 1) from the data set, or else from the labels of annotated frames."""
    found = np.zeros((len(target.labels), count + 1), bool)
    told = None if target.sounding is None else target.sounding.numpy()
    if told is not None and (not has_classes or told.shape[1] == count):
        found[:, 1:] = told if has_classes else told.any(1, keepdims=True)
        return found
    for frame in target.annotated.nonzero().flatten().tolist():
        ids = np.unique(_known(target.labels[frame]))
        found[frame, ids[ids <= count]] = True
    found[:, 0] = False
    return found


def _known(labels: Tensor) -> Labels:
    """Return (H, W) with background instead of ignored labels."""
    ids: Labels = labels.numpy()
    return np.where(ids == IGNORE, 0, ids)


def _truth_rows(truth: Truth, frames: Sequence[int], pictures: Sequence[Picture]) -> list[tuple[str, list[Cell]]]:
    """Return the frames with ground truth, and below each its sounding objects."""
    painted, rows = [], max((len(truth.heard(frame)) for frame in frames), default=0)
    chips: list[list[Cell]] = [[] for _ in range(max(rows, 1))]
    for frame, picture in zip(frames, pictures, strict=True):
        heard, seen = truth.heard(frame), set(truth.heard(frame))
        if truth.annotated[frame]:
            shown = _small(picture)
            ids = _sized(truth.labels(frame).astype(np.uint8), shown.shape[1], shown.shape[0])
            seen = set(np.unique(ids).tolist())
            painted.append(Cell("the truth", picture=overlay(shown, ids, truth.tags, truth.colours)))
        else:
            painted.append(Cell("no truth"))
        for place, row in enumerate(chips):
            known = place < len(heard)
            name = truth.names[heard[place]] if known else "silent" if not place and truth.annotated[frame] else ""
            unseen = known and heard[place] not in seen
            row.append(Cell(name, truth.colour(heard[place]) if known else None, unseen, "unseen" * unseen))
    return [("truth", painted), *(("sounds" if not place else "", row) for place, row in enumerate(chips))]


def _small(picture: Picture) -> Picture:
    """Resize (H, W, 3) to the height of frames on the page."""
    width = max(round(picture.shape[1] * TALLEST / picture.shape[0]), 1)
    return np.asarray(Image.fromarray(picture).resize((width, TALLEST), Image.Resampling.BILINEAR))


def _sized(ids: Picture, width: int, height: int) -> Picture:
    return np.asarray(Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST))


def _edges(clip: Clip) -> list[tuple[float, float]]:
    """Return the time span of each frame in seconds, up to the next frame; the last span is as long as the one before.

    A single frame covers the whole sound."""
    times = clip.times.tolist()
    if len(times) == 1:
        return [(clip.audio_start, round(clip.audio_start + clip.audio.shape[1] / clip.sample_rate, 2))]
    lengths = [*np.diff(times).tolist(), float(times[-1] - times[-2])]
    return [(round(time, 2), round(time + length, 2)) for time, length in zip(times, lengths, strict=True)]


def _spectrum(clip: Clip, truth: Truth | None) -> Picture:
    """Draw the spectrogram of the whole sound, and a stripe for each object in its colour."""
    mono = resample(clip.audio.mean(0), clip.sample_rate, SAMPLE_RATE)
    picture = paint_log_mel(LogMel()(mono[None])[0, 0].numpy(), SPECTRUM)
    heard = [] if truth is None else np.flatnonzero(truth.sounding.any(0)).tolist()
    seconds, edges = clip.audio.shape[1] / clip.sample_rate, _edges(clip)
    stripes = np.full((STRIPE * len(heard), SPECTRUM[1], 3), 255, np.uint8)
    for place, number in enumerate(heard):
        assert truth is not None
        for frame in np.flatnonzero(truth.sounding[:, number]).tolist():
            first, last = (round((time - clip.audio_start) / seconds * SPECTRUM[1]) for time in edges[frame])
            stripes[STRIPE * place + 2 : STRIPE * (place + 1), max(first, 0) : max(last, 0)] = truth.colour(number)
    return np.concatenate([picture, stripes])


def _wav(clip: Clip) -> bytes:
    """Return the sound as a 16-bit WAV file with at most two channels."""
    samples = (clip.audio[:2].double() * 32768).round().clamp(-32768, 32767).to(torch.int16)
    file = io.BytesIO()
    wavfile.write(file, clip.sample_rate, samples.T.contiguous().numpy())
    return file.getvalue()
