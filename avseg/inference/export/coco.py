"""Results in the COCO format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from avseg.inference.export.kinds import kinds
from avseg.inference.export.text_spool import TextSpool
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import FrameResult, class_names
from avseg.inference.stored import begin_of
from avseg.io.files import write_aside
from avseg.types import Task
from avseg.version import __version__


def to_coco(name: str, frames: Sequence[FrameResult], task: Task, begin: float = 0.0) -> dict[str, Any]:
    """Return the dictionary of `Result.to_coco`: ids count from 1, `time` is in seconds, `track_id` is the object's id
    in label maps.

    Args:
        name: of the video.
        frames: its results.
        task: of the model.
        begin: see `avseg.inference.stored.begin_of`.
    """
    annotations: list[dict[str, Any]] = []
    for frame in frames:
        annotations += annotations_of(frame, len(annotations))
    return {
        **head(task),
        "images": [image_of(name, frame, begin) for frame in frames],
        "annotations": annotations,
        "categories": categories_of(task),
    }


def head(task: Task) -> dict[str, Any]:
    """Return the entries before the images."""
    # Readers look up `info` and count on it; without a date one result is the same bytes whenever it is written.
    info = {"description": "Sounding objects of a video, segmented by avseg", "version": __version__}
    return {"info": info, "licenses": []}


def categories_of(task: Task) -> list[dict[str, Any]]:
    """Return the number and name of each class."""
    return [{"id": i, "name": name} for i, name in enumerate(class_names(task), start=1)]


def image_of(name: str, frame: FrameResult, begin: float) -> dict[str, Any]:
    """Return the entry of one frame; `name`, `begin`: see `to_coco`."""
    return {
        "id": frame.index + 1,
        "file_name": f"{name}/{frame.index:06d}.png",
        "height": frame.size[0],
        "width": frame.size[1],
        "time": begin + frame.time,
    }


def annotations_of(frame: FrameResult, before: int) -> Iterator[dict[str, Any]]:
    """Return the objects of one frame; `before`: number of annotations of the earlier frames."""
    for number, one in enumerate(frame.objects, start=before + 1):
        yield {
            "id": number,
            "image_id": frame.index + 1,
            "category_id": one.class_id,
            "segmentation": one.rle,
            "area": one.area,
            "bbox": list(one.box),
            "iscrowd": 0,
            "score": one.score,
            "track_id": one.id,
        }


class CocoWriter:
    """See `avseg.inference.export.writer.Writer`; the file is that of `to_coco`."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._images, self._annotations = TextSpool(subject.folder), TextSpool(subject.folder)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._images.add(json.dumps(image_of(self._subject.name, frame, begin_of(self._subject.source))))
        for one in annotations_of(frame, self._annotations.count):
            self._annotations.add(json.dumps(one))

    def finish(self, told: Told) -> None:
        """Write the file."""
        task = self._subject.task
        path = self._subject.folder / kinds()["coco"].file
        with write_aside(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(head(task)).removesuffix("}"))
            file.write(f',\n"categories": {json.dumps(categories_of(task), ensure_ascii=False)},\n"images": [\n')
            self._images.copy_to(file)
            file.write('\n],\n"annotations": [\n')
            self._annotations.copy_to(file)
            file.write("\n]}\n")

    def abandon(self) -> None:
        """Discard the buffered lines."""
        self._images.close()
        self._annotations.close()
