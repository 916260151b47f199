"""Small pictures of a video with its masks: a bounded number, spread evenly over a video of any length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from avseg.inference.export.writer import Picture, Subject
from avseg.inference.records import FrameResult
from avseg.render.overlay import overlay
from avseg.render.palette import palette

MOST_PICTURES = 24
SIDE = 320
"""Pixels of the longer side of a picture."""
MOST_TOLD = 4
"""Largest number of objects in a caption."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """One picture with its masks painted in."""

    time: float
    """s."""
    picture: Picture
    caption: str
    """The sounding objects, best first."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.picture.shape[0], self.picture.shape[1]


class Thumbnails:
    """Collects at most `MOST_PICTURES` small pictures from the frames of a result in order."""

    def __init__(self, subject: Subject) -> None:
        self.kept: list[Thumbnail] = []
        self.size = (1, 1)
        """(H, W) of the video."""
        self._pictures = subject.pictures
        self._colours = palette(subject.task)
        self._every = 1

    def add(self, frame: FrameResult) -> None:
        """Add the next frame; one in every n is kept, and n doubles when there are too many."""
        if frame.index % self._every:
            return
        self.size = frame.size
        self.kept.append(self._of(frame))
        if len(self.kept) > MOST_PICTURES:
            self.kept = self.kept[::2]
            self._every *= 2

    def _of(self, frame: FrameResult) -> Thumbnail:
        height, width = frame.size
        scale = min(1.0, SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        picture = Image.fromarray(self._pictures.of(frame)).resize(size[::-1], Image.Resampling.BILINEAR)
        labels = np.array(Image.fromarray(frame.labels).resize(size[::-1], Image.Resampling.NEAREST))
        painted = overlay(np.asarray(picture), labels, colours=self._colours)
        seen = sorted(frame.objects, key=lambda one: -one.score)
        told = [f"{f'{one.id} ' if frame.tracks else ''}{one.name} {one.score:.2f}" for one in seen]
        more = [f"and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
        return Thumbnail(frame.time, painted, ", ".join([*told[:MOST_TOLD], *more]) or "nothing sounds")
