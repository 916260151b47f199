"""Pseudo labels in the layout of AVISeg: whole videos with predicted tracks, one frame per second."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from avseg.datasets import SPLITS
from avseg.datasets.aviseg.layout import VideoFiles
from avseg.datasets.vis_table import video_entry, write_table
from avseg.io.files import write_text
from avseg.prepare.pseudo import SAMPLE_RATE, JudgedSecond, LabelledClips, PseudoLayout, Record
from avseg.types import Task

_TOLD = ("width", "height", "length")
"""Fields of a video's record."""
TRACKS = "tracks"
"""Folder with the annotations of each video, one JSON a line, of which the tables are made."""
_INFO = "Videos with tracks predicted by a model of avseg"


class PseudoVideo:
    """See `avseg.prepare.pseudo.ClipWriter`."""

    def __init__(self, root: Path, name: str, split: str, task: Task) -> None:
        self._root, self._name = root, name
        self._files = VideoFiles(root, split, name, SAMPLE_RATE)
        self._classes: dict[int, int] = {}

    def add(self, second: JudgedSecond) -> None:
        """Add the next second."""
        self._files.show(second.picture, second.masks)
        self._files.hear(second.sound)
        self._classes.update(second.classes)

    def finish(self) -> LabelledClips:
        """Write the tracks; a video without any is left out."""
        video, tracks = self._files.finish(self._classes)
        if not tracks:
            shutil.rmtree(self._files.folder, ignore_errors=True)
            return LabelledClips([], 1)
        write_text(self._root / TRACKS / f"{self._name}.jsonl", "".join(json.dumps(one) + "\n" for one in tracks))
        return LabelledClips([{"name": self._name, **{key: video[key] for key in _TOLD}}])


def _tables(root: Path, records: Iterable[Record], classes: tuple[str, ...]) -> None:
    listed: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for record in records:
        listed[record["split"]] += record["clips"]
    for split, videos in listed.items():
        texts = [json.dumps(_entry(video), ensure_ascii=False) for video in videos]
        write_table(root / f"{split}.json", texts, _annotations(root, videos), classes, _INFO)


def _entry(video: dict[str, Any]) -> dict[str, Any]:
    names = [f"{video['name']}/{second:05d}.jpg" for second in range(video["length"])]
    return video_entry(names, (video["height"], video["width"]))


def _annotations(root: Path, videos: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for number, video in enumerate(videos, start=1):
        with (root / TRACKS / f"{video['name']}.jsonl").open(encoding="utf-8") as file:
            for line in file:
                yield number, line


def _unfit(task: Task) -> str:
    if task.kind == "instance":
        return ""
    return f"they are tracks, and a {task.kind} model does not separate objects; use a model that tracks"


LAYOUT = PseudoLayout("aviseg", _unfit, lambda task: task.classes, PseudoVideo, _tables)
