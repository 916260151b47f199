"""A contact sheet: up to 24 pictures with their masks on one JPEG."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from avseg.inference.export.kinds import kinds
from avseg.inference.export.thumbnails import Thumbnails
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import FrameResult
from avseg.render.sheet import contact_sheet
from avseg.render.timescale import clock

COLUMNS = 4
LONGEST = 44
"""Longest caption below a picture, in characters."""


class SheetWriter:
    """See `avseg.inference.export.writer.Writer`."""

    def __init__(self, subject: Subject) -> None:
        self._path: Path = subject.folder / kinds()["sheet"].file
        self._thumbnails = Thumbnails(subject)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._thumbnails.add(frame)

    def finish(self, told: Told) -> None:
        """Write the sheet.

        Raises:
            ValueError: if there is no picture.
        """
        kept = self._thumbnails.kept
        room = max(LONGEST * kept[0].size[1] // 320, 8) if kept else 0
        captions = [f"{clock(one.time)}  {one.caption}" for one in kept]
        captions = [text if len(text) <= room else f"{text[: room - 1]}…" for text in captions]
        sheet = contact_sheet([one.picture for one in kept], captions, columns=COLUMNS)
        Image.fromarray(sheet).save(self._path, quality=90)

    def abandon(self) -> None:
        """Do nothing; no file is open."""
