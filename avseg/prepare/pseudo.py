"""Videos whose truth a model made, gathered into the folder of a data set: pseudo labels, for training on them.

A folder holds `pseudo.json`, a record of every video in `videos`, and what its data set wants. Records and files of a
video are whole or absent; tables list the videos that have a record, and are written when a run ends.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avseg.datasets import SPLITS
from avseg.io.files import clear_stale, folder_aside, write_text
from avseg.prepare.files import PSEUDO
from avseg.types import Rle, Task

SAMPLE_RATE = 16000
"""Hz of the sound that is stored, as in the published data sets."""
RECORDS = "videos"
"""Folder of the records, one JSON a video."""
FORMAT_VERSION = 1
TENTH = 10
HELD_OUT = {1: "val", TENTH - 1: "test"}
"""Of every ten videos, in the order in which they came, the second and the tenth are held out."""

Record: TypeAlias = Mapping[str, Any]
"""Of a video: `video`, `split`, `model`, `clips` (plain JSON, what the tables want), `left_out` and `files`."""


@dataclass(frozen=True)
class JudgedSecond:
    """One second of a video and what a model marked in it."""

    number: int
    picture: NDArray[np.uint8]
    """(H, W, 3) RGB, that which the masks were made of."""
    masks: Mapping[int, Rle]
    """Of what sounds, by number of the object."""
    classes: Mapping[int, int]
    """1..K, by number of the object."""
    sound: Tensor
    """(A, SAMPLE_RATE) float32."""


@dataclass(frozen=True)
class LabelledClips:
    """What came of a video."""

    clips: list[dict[str, Any]]
    """Plain JSON, what the tables want to know of each clip."""
    left_out: int = 0
    """Pieces of the video in which nothing sounds, or that are too short."""


class ClipWriter(Protocol):
    """Writes one video as clips of a data set."""

    def add(self, second: JudgedSecond) -> None:
        """The next second; they come without holes, from 0 on."""

    def finish(self) -> LabelledClips:
        """There are no more."""


@dataclass(frozen=True)
class PseudoLayout:
    """How a data set keeps videos whose truth a model made."""

    name: str
    """Of the data set."""
    unfit: Callable[[Task], str]
    """Why the labels of a task cannot be kept, as the end of a sentence about its model; empty where they can."""
    classes: Callable[[Task], tuple[str, ...]]
    """Names that all videos of a folder must share."""
    begin: Callable[[Path, str, str, Task], ClipWriter]
    """The writer of a video, of (folder to write into, name, split, task)."""
    tables: Callable[[Path, Iterable[Record], tuple[str, ...]], None]
    """Write the tables of a folder, of (folder, records by name, names of classes)."""


class Gathering:
    """The folder of a data set that videos are added to."""

    def __init__(self, layout: PseudoLayout, root: Path, task: Task, model: Mapping[str, Any]) -> None:
        """
        Args:
            layout: of the data set.
            root: its folder; it is made when the first video comes.
            task: of the model.
            model: what records say of the model.

        Raises:
            ValueError: labels that the data set cannot keep, or a folder of something else.
        """
        if why := layout.unfit(task):
            raise ValueError(f"labels for the data set {layout.name} cannot be made: {why}")
        self.layout, self.root, self._task, self._model = layout, root, task, dict(model)
        self._classes = layout.classes(task)
        self._check_folder()
        clear_stale(root)
        clear_stale(root / RECORDS)
        found = sorted(path for path in (root / RECORDS).glob("*.json") if not path.name.endswith(".part.json"))
        self.records = {path.stem: _read(path) for path in found}

    def begin(self, name: str) -> GatheredVideo:
        """A video that is to be added, or takes the place of the one of that name."""
        head = {"format_version": FORMAT_VERSION, "dataset": self.layout.name, "classes": list(self._classes)}
        if not (self.root / PSEUDO).is_file():
            write_text(self.root / PSEUDO, json.dumps(head, indent=1) + "\n")
        before = self.records.get(name)
        split = before["split"] if before else self._next_split()
        return GatheredVideo(self, name, split, self._task)

    def put(self, stage: Path, name: str, split: str, found: LabelledClips) -> None:
        """Move what was written of a video into the folder; its record comes last."""
        self._remove(name)
        files = sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())
        for file in files:
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            (stage / file).replace(self.root / file)
        record: dict[str, Any] = {"video": name, "split": split, "model": self._model, "clips": found.clips}
        record |= {"left_out": found.left_out, "files": files}
        write_text(self._place(name), json.dumps(record, ensure_ascii=False) + "\n")
        self.records[name] = record

    def close(self) -> str:
        """Write the tables.

        Returns:
            What the folder holds now, in a sentence; empty where there is none.
        """
        if not (self.root / PSEUDO).is_file():
            return ""
        self._write_tables()
        counts = Counter(dict.fromkeys(SPLITS, 0))
        for record in self.records.values():
            counts[record["split"]] += len(record["clips"])
        told = ", ".join(f"{count} {split}" for split, count in counts.items())
        empty = [split for split in SPLITS if not counts[split]]
        verb = "is" if len(empty) == 1 else "are"
        rule = "of every ten videos with clips the 2nd goes to val, the 10th to test"
        why = f"; {' and '.join(empty)} {verb} empty ({rule})" if empty else ""
        left = sum(record["left_out"] for record in self.records.values())
        less = f", {left} piece{'s' * (left != 1)} left out, short or without anything that sounds" if left else ""
        videos = f"{len(self.records)} video{'s' * (len(self.records) != 1)}"
        return f"{self.root.name} holds {videos} as clips: {told}{less}{why}"

    def _check_folder(self) -> None:
        path = self.root / PSEUDO
        if not path.is_file():
            if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
                raise ValueError(f"{self.root} is no folder that avseg gathered labels in; give another --out")
            return
        found = _read(path)
        if found.get("format_version") != FORMAT_VERSION or found.get("classes") != list(self._classes):
            raise ValueError(
                f"{self.root} holds labels of other classes than the model's; one data set needs one list of classes, "
                "so give another --out"
            )

    def _next_split(self) -> str:
        filled = sum(bool(record["clips"]) for record in self.records.values())
        return HELD_OUT.get(filled % TENTH, "train")

    def _remove(self, name: str) -> None:
        """Forget a video: first its record, then its lines in the tables, then its files."""
        record = self.records.pop(name, None)
        if record is None:
            return
        self._place(name).unlink(missing_ok=True)
        self._write_tables()
        for file in record["files"]:
            (self.root / file).unlink(missing_ok=True)
        for folder in {(self.root / file).parent for file in record["files"]}:
            with suppress(OSError):  # of other videos as well
                folder.rmdir()

    def _write_tables(self) -> None:
        self.layout.tables(self.root, [self.records[name] for name in sorted(self.records)], self._classes)

    def _place(self, name: str) -> Path:
        return self.root / RECORDS / f"{name}.json"


class GatheredVideo:
    """A video on its way into the folder; nothing of it is there before `finish`."""

    def __init__(self, gathering: Gathering, name: str, split: str, task: Task) -> None:
        self._gathering, self._name, self._split = gathering, name, split
        self._stack = ExitStack()
        self._stage = self._stack.enter_context(folder_aside(gathering.root / name))
        self._writer = gathering.layout.begin(self._stage, name, split, task)

    def add(self, second: JudgedSecond) -> None:
        """The next second."""
        self._writer.add(second)

    def finish(self) -> None:
        """Put it into the folder."""
        self._gathering.put(self._stage, self._name, self._split, self._writer.finish())
        self._stack.close()

    def abandon(self) -> None:
        """Remove what was written of it; may come after `finish`."""
        self._stack.close()


def _read(path: Path) -> dict[str, Any]:
    """
    Raises:
        ValueError: no whole JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no whole JSON ({error}); remove it, and its video is gathered again") from error
    return found
