"""A table for spreadsheets: whether each object sounds in each second, its score and its area."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

from avseg.inference.export.kinds import kinds
from avseg.inference.export.marks import object_name
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import FrameResult
from avseg.io.files import write_text

COLUMNS = ("time", "object", "class", "sounds", "score", "area_share")


@dataclass
class _Second:
    """The values of one object in one second."""

    score: float = 0.0
    """Highest score in the second."""
    share: float = 0.0
    """Share of the picture, summed over frames."""


class SecondsTableWriter:
    """See `avseg.inference.export.writer.Writer`. A frame belongs to the second at the middle of its sound."""

    def __init__(self, subject: Subject) -> None:
        self._path = subject.folder / kinds()["csv"].file
        self._frames: dict[int, int] = {}
        self._seen: dict[tuple[int, int], _Second] = {}

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        second = max(math.floor(sum(frame.heard) / 2), 0)
        self._frames[second] = self._frames.get(second, 0) + 1
        for one in frame.objects:
            seen = self._seen.setdefault((second, one.id), _Second())
            seen.score = max(seen.score, one.score)
            seen.share += one.area / (frame.size[0] * frame.size[1])

    def finish(self, told: Told) -> None:
        """Write the table: every second of the video, every object that sounds at least once."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        there = [one for one in told.sounding if one["intervals"]]
        for second in range(math.ceil(told.duration)):
            for one in there:
                sounds = sum(max(0.0, min(e, second + 1) - max(b, second)) for b, e in one["intervals"])
                seen = self._seen.get((second, one["id"]))
                score = f"{seen.score:.4f}" if seen else ""
                share = f"{seen.share / self._frames[second]:.6f}" if seen else ""
                rows.writerow((second, one["id"], object_name(one), f"{sounds:.3f}", score, share))
        write_text(self._path, text.getvalue())

    def abandon(self) -> None:
        """Do nothing; no file is open."""
