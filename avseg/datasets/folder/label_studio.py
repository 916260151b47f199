"""Annotation files of Label Studio (JSON): brush masks and polygons on pictures of videos. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from avseg.datasets.folder.coco import place_of
from avseg.datasets.folder.cvat import counts_of
from avseg.datasets.folder.records import AnnotationError, Area, LabelledFrame, VideoLabels

SHAPES = ("brushlabels", "polygonlabels")
PICTURES = ("image", "img", "picture", "frame_image")
"""Fields of a task's data under which a picture stands."""


def read_label_studio(path: Path, tasks: Sequence[Any], default: str) -> dict[str, VideoLabels]:
    """Read a list of tasks; returns labels by the name of the video.

    A task is one picture. Its data say of which video (`video`, or the folder in `image`) and which (`frame`, `time`,
    or the name of `image`). Of several annotations of a task the last counts; cancelled ones and predictions do not.

    Raises:
        AnnotationError: boxes or other shapes that are no masks, a picture that tells no time.
    """
    frames: dict[str, list[LabelledFrame]] = defaultdict(list)
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
            raise AnnotationError(
                f"{path} is not a list of tasks of Label Studio; export as JSON, or move it elsewhere"
            )
        where = f"{path}, task {task.get('id', number)}"
        results = _results(task)
        if results is None:
            continue
        data = {**task["data"], "video": _video_name(task["data"].get("video"))}
        picture = next((str(data[name]) for name in PICTURES if data.get(name)), "")
        name, when = place_of(where, data, _file_name(picture), default)
        areas = tuple(area for result in results if (area := _area(where, result)) is not None)
        size = next((_size(where, result) for result in results if "original_width" in result), None)
        frames[name].append(LabelledFrame(when, areas=areas, size=size))
    return {name: VideoLabels(path, "Label Studio", tuple(group)) for name, group in frames.items()}


def _results(task: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return the drawn shapes; None for an unfinished task."""
    done = [one for one in task.get("annotations") or [] if not one.get("was_cancelled")]
    return list(done[-1].get("result") or []) if done else None


def _video_name(value: Any) -> str | None:
    return _file_name(str(value)).rpartition("/")[2] if value else None


def _file_name(address: str) -> str:
    """The path in an address such as /data/local-files/?d=clips/cat/000003.png."""
    return unquote(address.rpartition("?d=")[2].partition("?")[0])


def _size(where: str, result: Mapping[str, Any]) -> tuple[int, int]:
    height, width = int(result["original_height"]), int(result["original_width"])
    if min(height, width) < 1:
        raise AnnotationError(f"{where} has a picture of {height} x {width} pixels; export it again")
    return height, width


def _area(where: str, result: Mapping[str, Any]) -> Area | None:
    kind, value = str(result.get("type", "")), result.get("value") or {}
    if kind in ("choices", "textarea", "rating", "number", "labels", "relation", "taxonomy"):
        return None
    if kind not in SHAPES:
        raise AnnotationError(
            f"{where} has a result of the type {kind!r}, which is not a mask; draw brush masks or polygons"
        )
    labels = value.get(kind) or []
    if len(labels) != 1:
        raise AnnotationError(f"{where} has a shape with {len(labels)} labels, wanted one")
    height, width = _size(where, result)
    if result.get("image_rotation"):
        raise AnnotationError(f"{where} was drawn on a rotated picture; rotate it back and draw it again")
    if kind == "polygonlabels":
        scaled = [(x * width / 100, y * height / 100) for x, y in value["points"]]
        return Area(str(labels[0]), [[coordinate for point in scaled for coordinate in point]])
    return Area(str(labels[0]), partial(_brush, where, bytes(value["rle"]), (height, width)))


def _brush(where: str, packed: bytes, stated: tuple[int, int], size: tuple[int, int]) -> Any:
    if stated != size:
        raise AnnotationError(f"{where} has a brush mask of {stated} pixels (height, width), but the video has {size}")
    try:
        values = decode_brush(packed, 4 * stated[0] * stated[1])
    except ValueError as error:
        raise AnnotationError(f"{where} has a brush mask that {error}; export it again") from error
    return counts_of(values.reshape(*stated, 4)[..., 3] > 0)


def decode_brush(packed: bytes, wanted: int) -> NDArray[np.uint8]:
    """The `wanted` values of a brush mask, four (RGBA) for each pixel, row by row.

    The bits hold: 32 for the number of values; 5 for the bits of a value less one; four times 4 for the bits of a
    length less one; then runs: 1 bit whether one value follows for all of the run, 2 bits that choose among the four
    lengths, the length less one, and the value or the values.

    Raises:
        ValueError: it breaks off, or holds another number of values.
    """
    bits = format(int.from_bytes(packed, "big"), f"0{8 * len(packed)}b") if packed else ""
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        if at > len(bits):
            raise ValueError("breaks off")
        return int(bits[at - count : at], 2)

    total, word = take(32), take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    if total != wanted:
        raise ValueError(f"holds {total} values, wanted {wanted}")
    pieces: list[NDArray[np.uint8]] = []
    done = 0
    while done < total:
        same, length = take(1), take(lengths[take(2)]) + 1
        values = [take(word)] if same else [take(word) for _ in range(length)]
        pieces.append(np.array(values, np.uint8).repeat(length if same else 1))
        done += length
    return np.concatenate(pieces)[:total] if pieces else np.zeros(0, np.uint8)
