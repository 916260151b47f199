"""Tables of videos and tracks in the form of YouTube-VIS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from avseg.io.files import write_aside
from avseg.io.rle import area, box
from avseg.types import Rle, TrackTarget


def write_table(
    path: Path, videos: Sequence[str], annotations: Iterable[tuple[int, str]], classes: Sequence[str], info: str = ""
) -> None:
    """The annotation file of one split, written piece by piece.

    Args:
        path: The file.
        videos: Their entries as JSON, without ids, which are 1, 2, ...
        annotations: The number of the video and an entry as JSON, without ids, which are 1, 2, ...
        classes: Names of the categories 1, 2, ...
        info: What the file says of itself.
    """
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    # `info` is looked up by readers of this form. No version and no date: one seed gives the same bytes.
    with write_aside(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"info": {json.dumps({"description": info})}, "licenses": [], "videos": [\n')
        file.write(",\n".join(f'{{"id": {number}, {text[1:]}' for number, text in enumerate(videos, start=1)))
        file.write(f'\n], "categories": {json.dumps(categories)}, "annotations": [\n')
        for number, (video, text) in enumerate(annotations, start=1):
            file.write(",\n" if number > 1 else "")
            file.write(f'{{"id": {number}, "video_id": {video}, {text.strip()[1:]}')
        file.write("\n]}\n")


def video_entry(names: list[str], size: tuple[int, int]) -> dict[str, Any]:
    """A video of pictures of size (H, W), without its id."""
    height, width = size
    return {"width": width, "height": height, "length": len(names), "file_names": names}


def text_of(mask: Rle) -> dict[str, Any]:
    """Run lengths as they stand in a file."""
    counts = mask["counts"]
    return {"size": list(mask["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}


def track_entry(
    label: int, track: Sequence[Rle | None], size: tuple[int, int], form: Callable[[Rle], Any] = text_of
) -> dict[str, Any] | None:
    """A track through a video, without ids; null where nothing is seen. None where nothing is seen at all.

    Args:
        label: Its class, 1..K.
        track: A mask for each picture, or None.
        size: (H, W) of the masks.
        form: How a mask stands in the file.
    """
    masks = [mask if mask is not None and area(mask) else None for mask in track]
    if not any(masks):
        return None
    return {
        "category_id": label,
        "iscrowd": 0,
        "height": size[0],
        "width": size[1],
        "bboxes": [None if mask is None else list(box(mask)) for mask in masks],
        "areas": [None if mask is None else area(mask) for mask in masks],
        "segmentations": [None if mask is None else form(mask) for mask in masks],
    }


def track_entries(target: TrackTarget) -> list[dict[str, Any]]:
    """The tracks of a video, without ids; those that are never seen are left out."""
    entries = [track_entry(c, m, target.size) for c, m in zip(target.classes.tolist(), target.masks, strict=True)]
    return [entry for entry in entries if entry is not None]
