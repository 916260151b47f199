"""Label maps as PNG in a folder of the video's name, by hand or by `avseg predict --masks png`. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avseg.datasets.folder.records import NAMES, AnnotationError, LabelledFrame, VideoLabels, When, when_of
from avseg.io.files import is_visible

RESULT = "result.json"
MASKS = "masks"
SOUNDING = "sounding"
"""The class name of `avseg predict` for the foreground of a binary model."""


def mask_folder(folder: Path) -> Path | None:
    """Where the masks of a video's folder lie: in `masks` below it, or in itself; None where there are none."""
    for place in (folder / MASKS, folder):
        if pngs_of(place):
            return place
    return None


def pngs_of(folder: Path) -> list[Path]:
    """The PNG files of a folder, in order."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png" and is_visible(path, folder))


def read_masks(folder: Path, own_classes: bool) -> VideoLabels:
    """The label maps of one video.

    Args:
        folder: Of the video: PNG files, or `masks` with PNG files, and `result.json` where `avseg predict` wrote them.
        own_classes: The data set has a `classes.txt`, so that values are class ids.

    Raises:
        AnnotationError: a name that tells no time, two masks of one time, or a result.json that does not fit.
    """
    place = mask_folder(folder)
    if place is None:
        raise AnnotationError(f"{folder} has no PNG file; add one label map for each annotated picture")
    result = _result(folder / RESULT) if (folder / RESULT).is_file() else None
    times = None if result is None else _times(folder / RESULT, result)
    frames: dict[When, LabelledFrame] = {}
    for path in pngs_of(place):
        when = when_of(path.name)
        if when is not None and times is not None and when.unit == "step":
            when = When("second", times[int(when.value)]) if int(when.value) in times else None
            if when is None:
                raise AnnotationError(f"the mask {path} belongs to no frame in {folder / RESULT}; remove it")
        if when is None:
            raise AnnotationError(f"the name of the mask {path} gives no time; name it {NAMES}")
        if when in frames:
            raise AnnotationError(
                f"the masks {frames[when].labels} and {path} belong to the same picture; remove one of them"
            )
        frames[when] = LabelledFrame(when, path)
    if result is None:
        return VideoLabels(folder, "label maps", tuple(frames.values()), named=own_classes)
    objects, names = _names(folder / RESULT, result)
    binary = not objects and set(names.values()) == {SOUNDING}
    return VideoLabels(
        source=folder,
        form="label maps of avseg predict",
        frames=tuple(frames.values()),
        names={} if binary else names,
        objects=objects,
        named=own_classes or not binary,
    )


def _result(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"{path} is not complete JSON ({error}); predict again or remove it") from error
    if not isinstance(result, dict) or result.get("format") != "avseg.result":
        raise AnnotationError(f"{path} is not a result of avseg; remove it, or move it elsewhere")
    return result


def _times(path: Path, result: dict[str, Any]) -> dict[int, float]:
    """s on the clock of the whole video, by the number of a mask; times of a part count from its start."""
    try:
        begin = float(((result.get("video") or {}).get("part") or [0.0])[0])
        return {int(frame["index"]): begin + float(frame["time"]) for frame in result["frames"]}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise AnnotationError(f"{path} lists no frames with index and time ({error}); predict again") from error


def _names(path: Path, result: dict[str, Any]) -> tuple[bool, dict[int, str]]:
    """Whether values are numbers of objects, and the class name of each value."""
    try:
        if not result.get("tracks"):
            return False, {int(one["id"]): str(one["name"]) for one in result["classes"]}
        found = [one for frame in result["frames"] for one in frame["objects"]] + list(result.get("sounding", []))
        return True, {int(one["id"]): str(one["class"]) for one in found}
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{path} does not name its classes ({error}); predict again") from error
