"""AVISeg of videos whose tracks a model made: whole videos, one frame a second."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from avseg.datasets import SPLITS
from avseg.datasets.vis_table import write_table
from avseg.io.image import write_jpeg
from avseg.io.rle import area, box
from avseg.prepare.pseudo import SAMPLE_RATE, JudgedSecond, LabelledClips, PseudoLayout, Record
from avseg.types import Rle, Task

TRACKS = "tracks"
"""Folder with the annotations of each video, one JSON a line, of which the tables are made."""
_INFO = "Videos whose tracks a model of avseg made"


class PseudoVideo:
    """See `avseg.prepare.pseudo.ClipWriter`."""

    def __init__(self, root: Path, name: str, split: str, task: Task) -> None:
        self._root, self._name, self._folder = root, name, root / split
        self._count = 0
        self._size = (0, 0)
        self._tracks: dict[int, dict[int, Rle]] = {}
        self._classes: dict[int, int] = {}
        self._sound: wave.Wave_write | None = None

    def add(self, second: JudgedSecond) -> None:
        """The next second."""
        write_jpeg(self._folder / "JPEGImages" / self._name / f"{self._count:05d}.jpg", second.picture)
        self._hear(second.sound)
        self._size = (second.picture.shape[0], second.picture.shape[1])
        self._classes.update(second.classes)
        for number, mask in second.masks.items():
            self._tracks.setdefault(number, {})[self._count] = mask
        self._count += 1

    def finish(self) -> LabelledClips:
        """Write the tracks; a video without any is left out."""
        if self._sound is not None:
            self._sound.close()
        if not self._tracks:
            shutil.rmtree(self._folder, ignore_errors=True)
            return LabelledClips([], 1)
        path = self._root / TRACKS / f"{self._name}.jsonl"
        path.parent.mkdir()
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for number in sorted(self._tracks):
                file.write(json.dumps(self._annotation(number)) + "\n")
        height, width = self._size
        return LabelledClips([{"name": self._name, "width": width, "height": height, "length": self._count}])

    def _hear(self, sound: torch.Tensor) -> None:
        if self._sound is None:
            folder = self._folder / "WAVAudios"
            folder.mkdir(parents=True)
            self._sound = wave.open(str(folder / f"{self._name}.wav"), "wb")  # noqa: SIM115  `finish` closes it
            self._sound.setparams((len(sound), 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        samples = (sound.double() * 32768).round().clamp(-32768, 32767)
        self._sound.writeframes(samples.T.numpy().astype("<i2").tobytes())

    def _annotation(self, number: int) -> dict[str, Any]:
        """One track without the ids that the table gives; null where it is silent."""
        height, width = self._size
        masks = [self._tracks[number].get(frame) for frame in range(self._count)]
        return {
            "category_id": self._classes[number],
            "iscrowd": 0,
            "height": height,
            "width": width,
            "bboxes": [None if mask is None else list(box(mask)) for mask in masks],
            "areas": [None if mask is None else area(mask) for mask in masks],
            "segmentations": masks,
        }


def _tables(root: Path, records: Iterable[Record], classes: tuple[str, ...]) -> None:
    listed: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for record in records:
        listed[record["split"]] += record["clips"]
    for split, videos in listed.items():
        texts = [json.dumps(_entry(number, video), ensure_ascii=False) for number, video in enumerate(videos, start=1)]
        write_table(root / f"{split}.json", texts, _annotations(root, videos), classes, _INFO)


def _entry(number: int, video: dict[str, Any]) -> dict[str, Any]:
    names = [f"{video['name']}/{second:05d}.jpg" for second in range(video["length"])]
    size = {key: video[key] for key in ("width", "height", "length")}
    return {"id": number, **size, "file_names": names}


def _annotations(root: Path, videos: list[dict[str, Any]]) -> Iterator[str]:
    for number, video in enumerate(videos, start=1):
        with (root / TRACKS / f"{video['name']}.jsonl").open(encoding="utf-8") as file:
            for line in file:
                yield f'{{"video_id": {number}, {line.strip()[1:]}'


def _unfit(task: Task) -> str:
    if task.kind == "instance":
        return ""
    return f"they are tracks, and a {task.kind} model does not tell objects apart; take a model that tracks"


LAYOUT = PseudoLayout("aviseg", _unfit, lambda task: task.classes, PseudoVideo, _tables)
