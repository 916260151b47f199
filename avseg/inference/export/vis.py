"""Results in the YouTube-VIS format: one video, and one annotation per object through all frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from statistics import fmean
from typing import Any

from avseg.inference.export.coco import categories_of, head
from avseg.inference.export.kinds import kinds
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import Detection, FrameResult
from avseg.inference.stored import begin_of
from avseg.io.files import write_text


class VisWriter:
    """See `avseg.inference.export.writer.Writer`. An object is a track, or a class of a model that does not track.

    Run lengths are kept in memory, as for tracks.json.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._seen: dict[int, dict[int, Detection]] = {}
        """Masks by object and frame."""
        self._files: list[str] = []
        self._size = (1, 1)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._size = frame.size
        # The form has no field for times; the data set `folder` reads them off the names.
        time = begin_of(self._subject.source) + frame.time
        self._files.append(f"{self._subject.name}/{time:013.6f}s.png")
        for one in frame.objects:
            self._seen.setdefault(one.id, {})[frame.index] = one

    def finish(self, told: Told) -> None:
        """Write the file."""
        height, width = self._size
        shape = {"height": height, "width": width, "length": len(self._files)}
        annotations = [
            self._annotation(number, self._seen[i], shape) for number, i in enumerate(sorted(self._seen), start=1)
        ]
        task = self._subject.task
        content = {
            **head(task),
            "videos": [{"id": 1, "file_names": self._files, **shape}],
            "categories": categories_of(task),
            "annotations": annotations,
        }
        write_text(self._subject.folder / kinds()["youtube_vis"].file, json.dumps(content, ensure_ascii=False) + "\n")

    def abandon(self) -> None:
        """Do nothing; no file is open."""

    def _annotation(self, number: int, seen: dict[int, Detection], shape: dict[str, int]) -> dict[str, Any]:
        def each(read: Callable[[Detection], Any]) -> list[Any]:
            return [read(seen[index]) if index in seen else None for index in range(len(self._files))]

        return {
            "id": number,
            "video_id": 1,
            "category_id": next(iter(seen.values())).class_id,
            "iscrowd": 0,
            **shape,
            "score": round(fmean(one.score for one in seen.values()), 6),
            "segmentations": each(lambda one: one.rle),
            "bboxes": each(lambda one: list(one.box)),
            "areas": each(lambda one: one.area),
        }
