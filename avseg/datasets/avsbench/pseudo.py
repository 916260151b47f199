"""S4 of videos whose masks a model made: pieces of five seconds, what sounds against the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from avseg.datasets.avsbench.folder import SIZE
from avseg.datasets.avsbench.layout import s4_table, save_s4
from avseg.datasets.avsbench.reader import FRAMES
from avseg.io.rle import area, decode
from avseg.prepare.frames import stretch
from avseg.prepare.pseudo import JudgedSecond, LabelledClips, PseudoLayout, Record
from avseg.types import Task

LEAST = FRAMES - 1
"""Seconds of a last piece that is kept; its last second stands in for the one that is missing, as published."""
UNNAMED = "sounding"
"""The category of clips of models that know no classes."""


class PieceWriter:
    """See `avseg.prepare.pseudo.ClipWriter`."""

    def __init__(self, root: Path, name: str, split: str, task: Task) -> None:
        self._root, self._name, self._split, self._task = root, name, split, task
        self._held: list[JudgedSecond] = []
        self._found = LabelledClips([])
        self._left_out = 0

    def add(self, second: JudgedSecond) -> None:
        """The next second."""
        self._held.append(second)
        if len(self._held) == FRAMES:
            self._write()

    def finish(self) -> LabelledClips:
        """Write a last piece that is nearly whole."""
        if len(self._held) >= LEAST:
            self._held += [self._held[-1]] * (FRAMES - len(self._held))
            self._write()
        self._left_out += bool(self._held)
        return LabelledClips(self._found.clips, self._left_out)

    def _write(self) -> None:
        held, self._held = self._held, []
        masks = [_union(second) for second in held]
        if not any(mask.any() for mask in masks):
            self._left_out += 1
            return
        begin = held[0].number
        name, category = f"{self._name}_{begin:05d}", self._category(held)
        frames = [stretch(second.picture, SIZE) for second in held]
        silent = held[-1] is held[-2]  # the stand-in has no sound of its own
        sound = torch.cat([*(s.sound for s in held[:-1]), held[-1].sound * (not silent)], 1)
        save_s4(self._root, name, self._split, category, frames, masks, sound)
        self._found.clips.append({"name": name, "start": begin, "category": category})

    def _category(self, held: list[JudgedSecond]) -> str:
        """The class with the most pixels."""
        if not self._task.classes:
            return UNNAMED
        pixels: Counter[int] = Counter()
        for second in held:
            for number, mask in second.masks.items():
                pixels[second.classes[number]] += area(mask)
        return self._task.classes[pixels.most_common(1)[0][0] - 1].replace("/", "-").replace("\\", "-")


def _union(second: JudgedSecond) -> NDArray[np.bool_]:
    """(H, W) of `SIZE`, everything that sounds."""
    whole = np.zeros(second.picture.shape[:2], bool)
    for mask in second.masks.values():
        whole |= decode(mask)
    return np.array(Image.fromarray(whole).resize(SIZE[::-1], Image.Resampling.NEAREST))


def _tables(root: Path, records: Iterable[Record], classes: tuple[str, ...]) -> None:
    rows = [(c["name"], c["start"], c["category"], record["split"]) for record in records for c in record["clips"]]
    s4_table(root, rows)


LAYOUT = PseudoLayout("s4", lambda task: "", lambda task: (), PieceWriter, _tables)
