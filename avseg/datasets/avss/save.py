"""Clips of any data set in the layout of AVSS, for `avseg data convert`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from avseg.datasets.avss.classes import avss_classes
from avseg.datasets.avss.reader import FRAMES, IDS
from avseg.datasets.pieces import annotated_of, codes_of, need_seconds, pieces_of
from avseg.io.audio import write_wav
from avseg.io.files import write_text
from avseg.io.image import write_jpeg, write_png
from avseg.synth.layout import write_csv
from avseg.types import IGNORE, Clip, Task

PARTS = {5: "v1m", 10: "v2"}
"""The part of clips of so many frames that all have labels."""


class AVSSWriter:
    """Clips of ten frames become the part v2, others are cut into fives: v1m, or v1s where the first alone has labels.

    Class names of AVSS get its ids; where there are others, `label2idx.json` lists those of the source, and names
    without meaning fill it up to 70.
    """

    def __init__(self, root: Path, task: Task) -> None:
        """
        Raises:
            ValueError: a binary task, or more than 70 classes.
        """
        most = len(avss_classes()) - 1
        if task.kind == "binary":
            raise ValueError("binary masks have no classes, and avss needs them; convert to s4 or folder")
        if len(task.classes) > most:
            raise ValueError(f"there are {len(task.classes)} classes, but avss holds at most {most}; convert to folder")
        self.root = root
        self.own = not set(task.classes) <= set(avss_classes()[1:])
        fill = [f"unused_{number}" for number in range(len(task.classes) + 1, most + 1)]
        self.names = ("background", *task.classes, *fill) if self.own else avss_classes()
        self.table = np.zeros(256, np.uint8)
        self.table[1 : len(task.classes) + 1] = [self.names.index(name) for name in task.classes]
        self.table[IGNORE] = IGNORE
        self.rows: list[tuple[str, str, str]] = []

    def add(self, split: str, clip: Clip) -> tuple[int, str]:
        """Write the pieces of a clip.

        Raises:
            ValueError: another rate than one frame a second.
        """
        need_seconds(clip, "avss")
        size = FRAMES["v2"] if len(clip.frames) == FRAMES["v2"] and all(annotated_of(clip)) else FRAMES["v1m"]
        written, reason = 0, "fewer than five frames" if len(clip.frames) < size else ""
        for name, piece in pieces_of(clip, size):
            annotated = annotated_of(piece)
            first_alone = split == "train" and annotated == [True, *[False] * (size - 1)]
            if not all(annotated) and not first_alone:
                reason = "pieces without the labels that the layout needs (all frames, or in train the first alone)"
                continue
            self._save("v1s" if first_alone else PARTS[size], name, piece, 1 if first_alone else size)
            self.rows.append((name, "v1s" if first_alone else PARTS[size], split))
            written += 1
        return written, reason

    def finish(self) -> None:
        """Write the tables."""
        write_csv(self.root / "metadata.csv", ("uid", "label", "split"), self.rows)
        numbers = {name: number for number, name in enumerate(self.names, start=1)}
        write_text(self.root / "label2idx.json", json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")

    def _save(self, part: str, name: str, piece: Clip, labelled: int) -> None:
        folder = self.root / part / name
        for k, frame in enumerate(piece.frames):
            write_jpeg(folder / "frames" / f"{k}.jpg", frame)
        for k, codes in enumerate(self.table[codes_of(piece)[:labelled]]):
            write_png(folder / IDS / f"{k}.png", codes)
        write_wav(folder / "audio.wav", piece.audio, piece.sample_rate)
