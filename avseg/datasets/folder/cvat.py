"""Annotation files of CVAT: "CVAT for video 1.1" and "CVAT for images 1.1". Imports no torch."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from avseg.datasets.folder.coco import place_of
from avseg.datasets.folder.records import AnnotationError, Area, LabelledFrame, VideoLabels, When

Element = ElementTree.Element
SHAPES = ("polygon", "mask")
OTHERS = ("box", "polyline", "points", "cuboid", "ellipse", "skeleton")
LONGEST_SIDE = 1 << 14
"""Pixels of a picture; more are a slip."""
LONGEST = 10_000_000
"""Pictures of a task; more are a slip."""


def read_cvat(path: Path, default: str) -> dict[str, VideoLabels]:
    """Read a file of CVAT; returns labels by the name of the video: the folder of its images, or the task's source.

    Of a video every picture of the task counts as annotated: where nothing is drawn nothing sounds. A shape stays until
    the next one of its track.

    Args:
        path: The file.
        default: The video of images without a folder, and of a task without a source.

    Raises:
        AnnotationError: broken XML, another form, or boxes, lines and points, which are no masks.
    """
    root = _root(path)
    if root.find("track") is not None or root.findtext("meta/task/mode") == "interpolation":
        return dict([_video(path, root, default)])
    return _images(path, root, _source(root) or default)


def _root(path: Path) -> Element:
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # entities that refer to each other fill any memory
            raise AnnotationError(f"{path} has a document type, unlike files of CVAT; export it again")
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{path} is not complete XML ({error}); export it again") from error
    if root.tag != "annotations" or root.find("meta") is None:
        raise AnnotationError(
            f"{path} has the root <{root.tag}> and is not a file of CVAT; export as CVAT for "
            "video 1.1 or CVAT for images 1.1, or move it elsewhere"
        )
    return root


def _images(path: Path, root: Element, default: str) -> dict[str, VideoLabels]:
    frames: dict[str, list[LabelledFrame]] = defaultdict(list)
    for image in root.iter("image"):
        file_name = image.get("name", "")
        size = _checked(path, (_number(path, image, "height"), _number(path, image, "width")))
        name, when = place_of(str(path), {}, file_name, default)
        areas = tuple(_area(path, shape, shape.get("label", ""), None, size) for shape in _shapes(path, image))
        frames[name].append(LabelledFrame(when, areas=areas, size=size))
    return {name: VideoLabels(path, "CVAT for images", tuple(group)) for name, group in frames.items()}


def _video(path: Path, root: Element, default: str) -> tuple[str, VideoLabels]:
    size = _task_size(path, root)
    numbers = _numbers(path, root)
    drawn: dict[int, list[Area]] = defaultdict(list)
    looked: set[int] = set()
    objects = False
    for number, track in enumerate(root.iter("track"), start=1):
        shapes = sorted(_shapes(path, track), key=lambda shape: _number(path, shape, "frame"))
        starts = [_number(path, shape, "frame") for shape in shapes]
        visible = [shape.get("outside", "0") != "1" for shape in shapes]
        looked.update(itertools.compress(starts, visible))
        objects |= sum(visible) > 1
        for shape, seen, begin, end in zip(shapes, visible, starts, [*starts[1:], numbers.stop], strict=True):
            if seen:
                area = _area(path, shape, track.get("label", ""), number, size)
                for frame in range(begin, max(end, begin + 1), numbers.step):
                    drawn[frame].append(area)
    frames = tuple(
        LabelledFrame(When("frame", number), areas=tuple(drawn.get(number, ())), size=size, drawn=number in looked)
        for number in sorted({*numbers, *drawn})
    )
    return _source(root) or default, VideoLabels(path, "CVAT for video", frames, objects=objects)


def _numbers(path: Path, root: Element) -> range:
    """Pictures of the task, by their numbers in the video."""
    task = root.find("meta/task")
    if task is None:
        task = root.find("meta/job")
    if task is None:
        raise AnnotationError(f"{path} does not hold a single task; export the tasks of a project one by one")
    first = int(task.findtext("start_frame") or 0)
    count = int(task.findtext("size") or 0)
    step = int((task.findtext("frame_filter") or "step=1").partition("step=")[2] or 1)
    last = int(task.findtext("stop_frame") or first + (count - 1) * step)
    if not (0 <= first <= last + 1 <= LONGEST and step > 0):
        raise AnnotationError(
            f"{path} has pictures from {first} to {last} by {step}, which is not a video; export it again"
        )
    return range(first, last + 1, step)


def _source(root: Element) -> str | None:
    source = root.findtext("meta/source") or root.findtext("meta/task/source")
    return Path(source.replace("\\", "/")).name if source else None


def _task_size(path: Path, root: Element) -> tuple[int, int]:
    for place in ("meta/task/original_size", "meta/original_size", "meta/job/original_size"):
        found = root.find(place)
        if found is not None:
            return _checked(path, (int(found.findtext("height") or 0), int(found.findtext("width") or 0)))
    raise AnnotationError(
        f"{path} does not state the size of the video (original_size); export it as CVAT for video 1.1"
    )


def _checked(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    """
    Raises:
        AnnotationError: (H, W) that no picture has; masks of it would fill any memory.
    """
    if not all(0 < side <= LONGEST_SIDE for side in size):
        raise AnnotationError(
            f"{path} has pictures of {size[0]} x {size[1]} pixels (height x width), wanted 1 to {LONGEST_SIDE} on each "
            "side; export it again"
        )
    return size


def _shapes(path: Path, parent: Element) -> list[Element]:
    for kind in OTHERS:
        if parent.find(kind) is not None:
            raise AnnotationError(f"{path} has shapes of the kind {kind}, which are not masks; draw polygons or masks")
    return [child for child in parent if child.tag in SHAPES]


def _area(path: Path, shape: Element, label: str, track: int | None, size: tuple[int, int]) -> Area:
    order = int(shape.get("z_order") or 0)
    if shape.tag == "polygon":
        points = shape.get("points", "").replace(";", ",").split(",")
        return Area(label, [[float(point) for point in points]], track, order)
    counts = [int(count) for count in shape.get("rle", "").split(",")]
    left, top, width, height = (_number(path, shape, name) for name in ("left", "top", "width", "height"))
    if min(left, top) < 0 or left + width > size[1] or top + height > size[0]:
        raise AnnotationError(f"{path} has a mask that extends outside its picture of {size[0]} x {size[1]} pixels")
    if sum(counts) != width * height or min(counts) < 0:
        raise AnnotationError(f"{path} has a mask whose run lengths do not fill its {height} x {width} pixels")
    return Area(label, _column_counts(counts, (top, left, height, width), size), track, order)


def _column_counts(counts: Sequence[int], box: tuple[int, int, int, int], size: tuple[int, int]) -> dict[str, Any]:
    """Run lengths down the columns of the whole picture, of those along the rows of a box."""
    top, left, height, width = box
    mask = np.zeros(size, bool)
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    mask[top : top + height, left : left + width] = inside.reshape(height, width)
    return counts_of(mask)


def counts_of(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    """A mask (H, W) in the form of COCO, with run lengths as numbers."""
    flat = np.concatenate([[False], mask.flatten(order="F"), [not mask[-1, -1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "counts": np.diff(edges, prepend=0).tolist()}


def _number(path: Path, element: Element, name: str) -> int:
    try:
        return int(element.get(name, ""))
    except ValueError:
        raise AnnotationError(f"{path} has <{element.tag}> without a whole number {name}; export it again") from None
