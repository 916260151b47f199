"""Annotation files in the forms of COCO (pictures) and YouTube-VIS (videos). Imports no torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from avseg.datasets.folder.records import NAMES, AnnotationError, Area, LabelledFrame, VideoLabels, When, when_of


def read_coco(path: Path, content: Mapping[str, Any], default: str) -> dict[str, VideoLabels]:
    """Read a file in the COCO format; returns labels by the name of the video.

    An image is a picture of the video that its field `video` or the folder in its `file_name` names; its field `frame`
    (a number in the video, from 0) or `time` (s) says which, or else its file name.

    Args:
        path: For sentences.
        content: The parsed file.
        default: The video of images without such a folder.

    Raises:
        AnnotationError: boxes without masks, an image that tells no time, numbers that are not listed.
    """
    classes = classes_in(path, content)
    areas: dict[int, list[Area]] = defaultdict(list)
    for number, one in enumerate(content.get("annotations", []), start=1):
        areas[int(one["image_id"])].append(_area(f"{path}, annotation {one.get('id', number)}", one, classes))
    frames: dict[str, list[LabelledFrame]] = defaultdict(list)
    refuse_twice(path, "image", content["images"])
    for image in content["images"]:
        name, when = place_of(str(path), image, str(image.get("file_name", "")), default)
        found = tuple(areas.pop(int(image["id"]), ()))
        frames[name].append(LabelledFrame(when, areas=found, size=size_of(image)))
    if areas:
        raise AnnotationError(f"{path} has annotations of the image {next(iter(areas))}, which it does not list")
    every = [area for group in frames.values() for frame in group for area in frame.areas]
    objects = bool(every) and all(area.track is not None for area in every)
    return {name: VideoLabels(path, "COCO", tuple(group), objects=objects) for name, group in frames.items()}


def read_youtube_vis(path: Path, content: Mapping[str, Any]) -> dict[str, VideoLabels]:
    """Read a file in the YouTube-VIS format; returns labels by the name of the video, the folder of its `file_names`.

    Raises:
        AnnotationError: masks of another number than frames, frames whose names tell no time, unknown numbers.
    """
    classes = classes_in(path, content)
    refuse_twice(path, "video", content["videos"])
    tracks: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for one in content.get("annotations") or []:
        tracks[int(one["video_id"])].append(one)
    videos = {}
    for video in content["videos"]:
        names = [str(name) for name in video["file_names"]]
        places = {folder_of(name) for name in names}
        if len(places) != 1 or None in places:
            raise AnnotationError(f"{path} has a video whose file_names are not all VIDEO/NAME.jpg of one VIDEO")
        name = str(places.pop())
        if name in videos:
            raise AnnotationError(f"{path} has two entries of the video {name!r}; put their frames into one")
        videos[name] = _tracked(path, video, names, tracks.pop(int(video["id"]), []), classes)
    if tracks:
        raise AnnotationError(f"{path} has annotations of the video {next(iter(tracks))}, which it does not list")
    return videos


def classes_in(path: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """The name of each category, by its number.

    Raises:
        AnnotationError: a number that stands for two categories, or a category without a name.
    """
    refuse_twice(path, "category", content["categories"])
    for one in content["categories"]:
        if not isinstance(one["name"], str) or not one["name"].strip():
            raise AnnotationError(f"{path} has the category {one['id']} without a name; give it one")
    return {int(one["id"]): one["name"] for one in content["categories"]}


def refuse_twice(path: Path, what: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """
    Raises:
        AnnotationError: two entries have one number, so that nobody knows which of them is meant elsewhere.
    """
    again = [number for number, count in Counter(int(one["id"]) for one in entries).items() if count > 1]
    if again:
        raise AnnotationError(f"{path} has two entries with the {what} number {again[0]}; give each its own")


def place_of(where: str, entry: Mapping[str, Any], file_name: str, default: str) -> tuple[str, When]:
    """The video and the picture that an entry of a file is of: by its fields `video`, `frame` and `time`, else by the
    name of its picture.

    Raises:
        AnnotationError: it tells no picture.
    """
    name = str(entry.get("video") or folder_of(file_name) or default)
    for field in ("frame", "time"):
        value = entry.get(field)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            if field == "frame" and value != int(value):
                raise AnnotationError(f"{where} has the frame {value:g} of {name!r}; wanted a whole number, from 0")
            return name, When("frame", int(value)) if field == "frame" else When("second", float(value))
    when = when_of(file_name)
    if when is None:
        raise AnnotationError(
            f"{where} does not give the time of the picture {file_name!r}; add a "
            f"field frame or time, or name the picture {NAMES}"
        )
    return name, when


def folder_of(file_name: str) -> str | None:
    """The folder that a picture's name stands in; None where there is none."""
    parts = PurePosixPath(file_name.replace("\\", "/")).parts
    return parts[-2] if len(parts) > 1 and parts[-2] not in ("/", "..", ".") else None


def size_of(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """(H, W) that an entry states."""
    height, width = entry.get("height"), entry.get("width")
    return (int(height), int(width)) if height and width else None


def class_of(where: str, number: int, classes: Mapping[int, str]) -> str:
    """The name of a category.

    Raises:
        AnnotationError: the file has no such category.
    """
    if number not in classes:
        known = ", ".join(map(str, classes))
        raise AnnotationError(f"{where} has the category {number}; the file's table of categories has {known}")
    return classes[number]


def _area(where: str, one: Mapping[str, Any], classes: Mapping[int, str]) -> Area:
    label = class_of(where, int(one["category_id"]), classes)
    if not one.get("segmentation"):
        raise AnnotationError(f"{where} is a box without a mask (segmentation); draw polygons or masks instead")
    more = one.get("attributes")
    track = one.get("track_id", more.get("track_id") if isinstance(more, Mapping) else None)
    return Area(label, one["segmentation"], None if track is None else int(track))


def _tracked(
    path: Path,
    video: Mapping[str, Any],
    names: list[str],
    tracks: list[Mapping[str, Any]],
    classes: Mapping[int, str],
) -> VideoLabels:
    areas: list[list[Area]] = [[] for _ in names]
    for number, track in enumerate(tracks, start=1):
        where = f"{path}, annotation {track.get('id', number)}"
        label, masks = class_of(where, int(track["category_id"]), classes), track["segmentations"]
        if len(masks) != len(names):
            raise AnnotationError(
                f"{where} has {len(masks)} segmentations, wanted one (or null) for {len(names)} frames"
            )
        for place, mask in enumerate(masks):
            if mask:
                areas[place].append(Area(label, mask, number))
    size, frames = size_of(video), []
    for name, found in zip(names, areas, strict=True):
        when = when_of(name)
        if when is None:
            raise AnnotationError(f"the name of the frame {name!r} in {path} gives no time; name it {NAMES}")
        frames.append(LabelledFrame(when, areas=tuple(found), size=size))
    return VideoLabels(path, "YouTube-VIS", tuple(frames), objects=True)
