"""Clips in the layout of S4: those of any data set, and those whose masks a model made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avseg.data.tables import is_plain
from avseg.datasets.avsbench.layout import S4Row, s4_table, save_s4
from avseg.datasets.avsbench.reader import FRAMES
from avseg.datasets.pieces import Codes, annotated_of, codes_of, need_seconds, pieces_of, refuse_ignored
from avseg.types import Clip, Task

NO_CATEGORY = "sounding"


class S4Writer:
    """Five frames a clip, and binary masks: every class and every track is foreground.

    Of training clips the layout holds the mask of the first frame alone.
    """

    def __init__(self, root: Path, task: Task) -> None:
        self.root, self.task = root, task
        self.rows: list[S4Row] = []

    def add(self, split: str, clip: Clip) -> tuple[int, str]:
        """Write the pieces of a clip.

        Raises:
            ValueError: another rate than one frame a second, or pixels that are not judged.
        """
        need_seconds(clip, "s4")
        written, reason = 0, "fewer than five frames" if len(clip.frames) < FRAMES else ""
        for name, piece in pieces_of(clip, FRAMES):
            annotated = annotated_of(piece)
            if not annotated[0] or (split != "train" and not all(annotated)):
                reason = "pieces without the labels that the layout needs (train: first frame, val and test: all)"
                continue
            if split == "train" and any(annotated[1:]):
                reason = reason or "masks behind the first frame of training clips, which the layout does not hold"
            self.put(split, name, piece)
            written += 1
        return written, reason

    def put(self, split: str, name: str, piece: Clip, start: int = 0) -> S4Row:
        """Write a clip of five frames whose first has labels, those of val and test in all; gives its row.

        Args:
            split: Its part.
            name: What it is called.
            piece: Its frames, labels and sound from 0 s on.
            start: s, where it begins in the video that it is cut from.

        Raises:
            ValueError: pixels that are not judged.
        """
        codes = codes_of(piece)
        refuse_ignored(piece, codes, "s4")
        row = S4Row(name, start, self._category(codes), split)
        save_s4(self.root, row, piece.frames, codes > 0, piece.audio, piece.sample_rate)
        self.rows.append(row)
        return row

    def finish(self) -> None:
        """Write the table."""
        s4_table(self.root, self.rows)

    def _category(self, codes: Codes) -> str:
        """The class that most of the pictures show."""
        pixels = np.bincount(codes[codes > 0], minlength=2)
        if not self.task.classes or not pixels.any():
            return NO_CATEGORY
        name = self.task.classes[int(pixels.argmax()) - 1].replace("/", "-").replace("\\", "-")
        return name if is_plain(name) else NO_CATEGORY
