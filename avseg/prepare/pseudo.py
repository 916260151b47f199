"""Pseudo labels: videos with masks predicted by a model, collected in the folder of a data set for training.

A folder holds `pseudo.json`, a record of every video in `videos`, and the files of its data set. Records and files of a
video are complete or absent; tables list the videos with a record and are written at the end of a run.
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
"""Sample rate of the stored sound in Hz, as in the published data sets."""
RECORDS = "videos"
"""Folder of the records, one JSON per video."""
FORMAT_VERSION = 1
TENTH = 10
HELD_OUT = {1: "val", TENTH - 1: "test"}
"""The second and the tenth of every ten videos, in order of arrival, are held out."""

Record: TypeAlias = Mapping[str, Any]
"""Record of a video: `video`, `split`, `model`, `clips` (plain JSON, for the tables), `left_out` and `files`."""


@dataclass(frozen=True)
class JudgedSecond:
    """One second of a video with the predicted masks."""

    number: int
    picture: NDArray[np.uint8]
    """(H, W, 3) RGB, the frame of the masks."""
    masks: Mapping[int, Rle]
    """Masks of sounding objects, by object number."""
    classes: Mapping[int, int]
    """Class ids 1..K, by object number."""
    sound: Tensor
    """(A, SAMPLE_RATE) float32."""


@dataclass(frozen=True)
class LabelledClips:
    """The clips of a video."""

    clips: list[dict[str, Any]]
    """Entries of the clips for the tables, as plain JSON."""
    left_out: int = 0
    """Number of pieces without a sounding object or too short."""


class ClipWriter(Protocol):
    """Writes one video as clips of a data set."""

    def add(self, second: JudgedSecond) -> None:
        """Add the next second; seconds are consecutive from 0."""

    def finish(self) -> LabelledClips:
        """Finish the video."""


@dataclass(frozen=True)
class PseudoLayout:
    """How a data set stores pseudo labels."""

    name: str
    """Name of the data set."""
    unfit: Callable[[Task], str]
    """Why the labels of a task cannot be stored, as the end of a sentence about its model; empty if they can."""
    classes: Callable[[Task], tuple[str, ...]]
    """Class names that all videos of a folder must share."""
    begin: Callable[[Path, str, str, Task], ClipWriter]
    """Makes the writer of a video from (folder to write, name, split, task)."""
    tables: Callable[[Path, Iterable[Record], tuple[str, ...]], None]
    """Writes the tables of a folder from (folder, records by name, class names)."""


class Gathering:
    """The folder of a data set to which videos are added."""

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
        """Start a video that is added or replaces the one with the same name."""
        head = {"format_version": FORMAT_VERSION, "dataset": self.layout.name, "classes": list(self._classes)}
        if not (self.root / PSEUDO).is_file():
            write_text(self.root / PSEUDO, json.dumps(head, indent=1) + "\n")
        before = self.records.get(name)
        split = before["split"] if before else self._next_split()
        return GatheredVideo(self, name, split, self._task)

    def put(self, stage: Path, name: str, split: str, found: LabelledClips) -> None:
        """Move the files of a video into the folder; its record is written last."""
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
            A sentence about the folder's content; empty if there is no folder.
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
        less = f", {left} piece{'s' * (left != 1)} left out as too short or without sounding objects" if left else ""
        videos = f"{len(self.records)} video{'s' * (len(self.records) != 1)}"
        return f"{self.root.name} holds {videos} as clips: {told}{less}{why}"

    def _check_folder(self) -> None:
        path = self.root / PSEUDO
        if not path.is_file():
            if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
                raise ValueError(f"{self.root} is not a folder of labels written by avseg; choose another --out")
            return
        found = _read(path)
        if found.get("format_version") != FORMAT_VERSION or found.get("classes") != list(self._classes):
            raise ValueError(
                f"{self.root} holds labels of other classes than the model's; a data set "
                "has one list of classes, so choose another --out"
            )

    def _next_split(self) -> str:
        filled = sum(bool(record["clips"]) for record in self.records.values())
        return HELD_OUT.get(filled % TENTH, "train")

    def _remove(self, name: str) -> None:
        """Remove a video: first its record, then its lines in the tables, then its files."""
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
    """A video to add to the folder; its files are moved there by `finish`."""

    def __init__(self, gathering: Gathering, name: str, split: str, task: Task) -> None:
        self._gathering, self._name, self._split = gathering, name, split
        self._stack = ExitStack()
        self._stage = self._stack.enter_context(folder_aside(gathering.root / name))
        self._writer = gathering.layout.begin(self._stage, name, split, task)

    def add(self, second: JudgedSecond) -> None:
        """Add the next second."""
        self._writer.add(second)

    def finish(self) -> None:
        """Move the video into the folder."""
        self._gathering.put(self._stage, self._name, self._split, self._writer.finish())
        self._stack.close()

    def abandon(self) -> None:
        """Remove its files; may be called after `finish`."""
        self._stack.close()


def _read(path: Path) -> dict[str, Any]:
    """
    Raises:
        ValueError: no whole JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not complete JSON ({error}); remove it to process its video again") from error
    return found
