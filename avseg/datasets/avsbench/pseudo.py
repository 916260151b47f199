"""Pseudo labels in the layout of S4: pieces of five seconds with predicted binary masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from avseg.datasets.avsbench.folder import SIZE
from avseg.datasets.avsbench.layout import S4Row, s4_table
from avseg.datasets.avsbench.reader import FRAMES
from avseg.datasets.avsbench.save import S4Writer
from avseg.io.rle import decode
from avseg.prepare.frames import stretch
from avseg.prepare.pseudo import SAMPLE_RATE, JudgedSecond, LabelledClips, PseudoLayout, Record
from avseg.types import Clip, DenseTarget, Task

LEAST = FRAMES - 1
"""Seconds of a last piece that is kept; its last second stands in for the one that is missing, as published."""


class PieceWriter:
    """See `avseg.prepare.pseudo.ClipWriter`."""

    def __init__(self, root: Path, name: str, split: str, task: Task) -> None:
        self._writer, self._name, self._split = S4Writer(root, task), name, split
        self._held: list[JudgedSecond] = []
        self._left_out = 0

    def add(self, second: JudgedSecond) -> None:
        """Add the next second."""
        self._held.append(second)
        if len(self._held) == FRAMES:
            self._write()

    def finish(self) -> LabelledClips:
        """Write a last piece that is nearly whole."""
        if len(self._held) >= LEAST:
            self._held += [self._held[-1]] * (FRAMES - len(self._held))
            self._write()
        self._left_out += bool(self._held)
        return LabelledClips([asdict(row) for row in self._writer.rows], self._left_out)

    def _write(self) -> None:
        held, self._held = self._held, []
        labels = torch.from_numpy(np.stack([_labels(second) for second in held])).long()
        if not labels.any():
            self._left_out += 1
            return
        silent = held[-1] is held[-2]  # the stand-in has no sound of its own
        sound = torch.cat([*(s.sound for s in held[:-1]), held[-1].sound * (not silent)], 1)
        frames = torch.from_numpy(np.stack([stretch(second.picture, SIZE) for second in held])).permute(0, 3, 1, 2)
        times, target = torch.arange(FRAMES).double(), DenseTarget(labels, torch.ones(FRAMES, dtype=torch.bool))
        name, begin = f"{self._name}_{held[0].number:05d}", held[0].number
        self._writer.put(self._split, name, Clip(name, frames, times, sound, SAMPLE_RATE, target=target), begin)


def _labels(second: JudgedSecond) -> NDArray[np.uint8]:
    """Return (H, W) of `SIZE` with class ids; where objects overlap, the later one is on top."""
    whole = np.zeros(second.picture.shape[:2], np.uint8)
    for number, mask in second.masks.items():
        whole[decode(mask)] = second.classes[number]
    return np.array(Image.fromarray(whole).resize(SIZE[::-1], Image.Resampling.NEAREST))


def _tables(root: Path, records: Iterable[Record], classes: tuple[str, ...]) -> None:
    s4_table(root, [S4Row(**{**clip, "split": record["split"]}) for record in records for clip in record["clips"]])


LAYOUT = PseudoLayout("s4", lambda task: "", lambda task: (), PieceWriter, _tables)
