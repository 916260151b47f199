"""Cutouts: each object alone, from the picture that shows it best."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from avseg.inference.export.kinds import kinds
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import Detection, FrameResult


class CutoutWriter:
    """See `avseg.inference.export.writer.Writer`.

    The best picture of an object has the largest product of area and score; ties go to the first. A better picture
    replaces the file at once, so that no picture is kept in memory.
    """

    def __init__(self, subject: Subject) -> None:
        self._pictures = subject.pictures
        self._folder = subject.folder / kinds()["cutouts"].file
        self._folder.mkdir()
        self._best: dict[int, float] = {}

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        for one in frame.objects:
            if one.area * one.score > self._best.get(one.id, 0.0):
                self._best[one.id] = one.area * one.score
                self._write(frame, one)

    def finish(self, told: Told) -> None:
        """Do nothing; all files are written."""

    def abandon(self) -> None:
        """Do nothing; no file is open."""

    def _write(self, frame: FrameResult, one: Detection) -> None:
        left, top, width, height = one.box
        place = slice(top, top + height), slice(left, left + width)
        opacity = np.where(one.mask[place], 255, 0).astype(np.uint8)
        cut = np.dstack([self._pictures.of(frame)[place], opacity])
        Image.fromarray(cut).save(self._folder / file_name(one.id, one.name), compress_level=3)


def file_name(number: int, name: str) -> str:
    """Return a name such as `001-acoustic-guitar.png`, with characters that every file system accepts."""
    words = re.sub(r"[^\w]+", "-", name.lower()).strip("-")[:60]
    return f"{number:03d}-{words}.png" if words else f"{number:03d}.png"
