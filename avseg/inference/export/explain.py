"""One page that says why: what is heard in each second, what was found where, and what was marked of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from avseg.inference.export.explain_rows import find_texts, heard_rows, noun_rows, object_rows, records
from avseg.inference.export.kinds import kinds
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import FrameResult
from avseg.io.files import write_text
from avseg.io.video import iter_audio
from avseg.nn.mel import LOG_OFFSET, SAMPLE_RATE
from avseg.nn.resample import resample
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.render.report import Page, photograph
from avseg.render.spectrum import log_mel_columns, paint_log_mel
from avseg.render.timescale import TimeChart, clock
from avseg.types import Clip

MOST_PICTURES = 24
SIDE = 320
"""Pixels of the longer side of a picture."""
SPECTRUM = (110, 834)
"""(H, W) of the spectrogram in pixels."""
QUIET, LOUD = math.log(LOG_OFFSET), math.log(1.0)
"""Log-mel values that are all dark and all bright, or brighter where the sound is louder."""
SILENT = "This model gives no words: it does not tell what it hears, nor why it marks what it marks."


@dataclass(frozen=True)
class _Thumbnail:
    time: float
    picture: str
    """A data URI."""
    size: tuple[int, int]
    """(H, W) of it."""
    caption: str


class ExplainWriter:
    """See `avseg.inference.export.writer.Writer`. Of a video of any length it holds `MOST_PICTURES` small pictures."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._colours = palette(subject.task)
        self._every = 1
        self._kept: list[_Thumbnail] = []
        self._size = (1, 1)

    def add(self, frame: FrameResult) -> None:
        """The next frame; one in so many is kept, in twice as many each time there are too many."""
        if frame.index % self._every:
            return
        self._size = frame.size
        self._kept.append(self._thumbnail(frame))
        if len(self._kept) > MOST_PICTURES:
            self._kept = self._kept[::2]
            self._every *= 2

    def finish(self, told: Told) -> None:
        """Write the page."""
        source, why = self._subject.source, told.explanation
        name = source.id if isinstance(source, Clip) else source.path.name
        page = Page(f"Why: {name}", f"{clock(told.duration)}, {self._size[1]} x {self._size[0]} pixels.")
        if not why:
            page.text(SILENT)
        page.heading("Sound, and what was made of it").drawing(self._chart(told))
        page.heading("Pictures").drawings(self._pictures(why))
        _tables(page, told)
        write_text(self._subject.folder / kinds()["explain"].file, page.html())

    def abandon(self) -> None:
        """Nothing is open."""

    def _thumbnail(self, frame: FrameResult) -> _Thumbnail:
        height, width = frame.size
        scale = min(1.0, SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        picture = Image.fromarray(self._subject.pictures.of(frame)).resize(size[::-1], Image.Resampling.BILINEAR)
        labels = np.array(Image.fromarray(frame.labels).resize(size[::-1], Image.Resampling.NEAREST))
        painted = overlay(np.asarray(picture), labels, colours=self._colours)
        seen = sorted(frame.objects, key=lambda one: -one.score)
        told = [f"{f'{one.id} ' if frame.tracks else ''}{one.name} {one.score:.2f}" for one in seen]
        caption = ", ".join([*told[:4], *([f"and {len(told) - 4} more"] if len(told) > 4 else [])])
        return _Thumbnail(frame.time, photograph(painted, 85), size, caption or "nothing sounds")

    def _chart(self, told: Told) -> str:
        chart = TimeChart(told.duration)
        columns, step = log_mel_columns(self._sound())
        if len(columns):
            painted = paint_log_mel(columns, SPECTRUM, (QUIET, max(LOUD, float(columns.max()))))
            chart.picture("sound, 125 to 7500 Hz", photograph(painted), len(columns) * step)
        else:
            chart.heading("There is no sound.")
        seconds = records(told.explanation, "seconds")
        if seconds:
            chart.heading("Heard, by its probability in each second")
            for name, cells in heard_rows(seconds, told.duration):
                chart.strip(name, cells)
            chart.heading("Nouns that sound")
            for name, cells in noun_rows(seconds):
                chart.bars(name, cells, "#6b7c93")
        chart.heading("Objects that are marked")
        for number, name, cells in object_rows(told.sounding):
            chart.bars(name, cells, self._colour(number))
        return chart.svg("Spectrogram of the sound, and below it on the same time what is heard and what is marked.")

    def _sound(self) -> Iterator[NDArray[np.float32]]:
        """The sound at 16 kHz from time zero on."""
        source = self._subject.source
        if not isinstance(source, Clip):
            yield from (piece[0] for _, piece, _ in iter_audio(source.path, SAMPLE_RATE, 1)) if source.sound else ()
            return
        lead = round(source.audio_start * source.sample_rate)
        wave = torch.nn.functional.pad(source.audio.mean(0), (max(lead, 0), 0))[max(-lead, 0) :]
        yield resample(wave, source.sample_rate, SAMPLE_RATE).float().numpy()

    def _pictures(self, why: Mapping[str, Any]) -> list[tuple[str, str]]:
        """SVG and caption of every picture, with the finder's boxes that lie nearest to it in time."""
        boxes: list[list[str]] = [[] for _ in self._kept]
        words: list[list[str]] = [[] for _ in self._kept]
        for track in records(why, "tracks"):
            nearest: dict[int, tuple[float, Mapping[str, Any]]] = {}
            for find in records(track, "finds"):
                time = float(find.get("time", 0.0))
                place = min(range(len(self._kept)), key=lambda k: abs(self._kept[k].time - time), default=None)
                if place is not None and abs(self._kept[place].time - time) < nearest.get(place, (math.inf,))[0]:
                    nearest[place] = (abs(self._kept[place].time - time), find)
            for place, (_, find) in nearest.items():
                boxes[place].append(self._box(self._kept[place], track, find))
                words[place].append(f"box at {clock(float(find.get('time', 0.0)))}: {find_texts(track, find)}")
        return [
            (_svg(thumbnail, "".join(drawn)), "\n".join([f"{clock(thumbnail.time)}: {thumbnail.caption}", *said]))
            for thumbnail, drawn, said in zip(self._kept, boxes, words, strict=True)
        ]

    def _box(self, thumbnail: _Thumbnail, track: Mapping[str, Any], find: Mapping[str, Any]) -> str:
        height, width = thumbnail.size
        down, across = height / self._size[0], width / self._size[1]
        left, top, right, bottom = (float(side) for side in find.get("box", (0, 0, 0, 0)))
        x, y = left * across, top * down
        colour = self._colour(int(track.get("id", 0)))
        title = escape(find_texts(track, find))
        wide, tall, unit = (right - left) * across, (bottom - top) * down, max(thumbnail.size) / SIDE
        rect = f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="none"'
        text = f'<text x="{x + 3 * unit:.1f}" y="{max(y, 0) + 15 * unit:.1f}" font-size="{14 * unit:.1f}"'
        return (
            f'{rect} stroke="{colour}" stroke-width="{2 * unit:.1f}" stroke-dasharray="{5 * unit:.1f}"/>'
            f'{text} fill="#fff" stroke="#000" stroke-width="{3 * unit:.1f}" paint-order="stroke">{title}</text>'
        )

    def _colour(self, number: int) -> str:
        return "#{:02x}{:02x}{:02x}".format(*self._colours[number % len(self._colours)].tolist())


def _svg(thumbnail: _Thumbnail, boxes: str) -> str:
    height, width = thumbnail.size
    label = escape(f"the picture at {clock(thumbnail.time)}: {thumbnail.caption}", quote=True)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<image href="{thumbnail.picture}" width="{width}" height="{height}"/>{boxes}</svg>'
    )


def _tables(page: Page, told: Told) -> None:
    why = told.explanation
    tracks = records(why, "tracks")
    rows: list[tuple[object, ...]]
    if tracks:
        head: tuple[str, ...] = (
            "track",
            "noun",
            "class",
            "score",
            "heard",
            "from",
            "to",
            "boxes of the finder: time, score",
        )
        rows = [
            (
                *(track.get(key, "") for key in ("id", "noun", "class", "score", "probability")),
                *(clock(float(track.get(key, 0.0))) for key in ("begin", "end")),
                _some([f"{clock(float(f.get('time', 0)))} {float(f.get('score', 0)):.2f}" for f in finds]),
            )
            for track, finds in ((track, records(track, "finds")) for track in tracks)
        ]
        page.heading("Tracks").table(head, rows)
    else:
        head = ("object", "class", "sounds")
        rows = [
            (one["id"], one["class"], _some([f"{clock(a)} to {clock(b)}" for a, b in one["intervals"]]))
            for one in told.sounding
        ]
        if rows:
            page.heading("Objects").table(head, rows)
        else:
            page.text("Nothing was marked.")
    parts = why.get("parts")
    if isinstance(parts, Mapping):
        keys = ("kind", "checkpoint", "revision")
        page.heading("Parts").table(
            ("part", *keys),
            [(name, *(part.get(key, "") for key in keys)) for name, part in parts.items() if isinstance(part, Mapping)],
        )


def _some(texts: list[str], most: int = 12) -> str:
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])
