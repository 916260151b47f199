"""Tables of videos and tracks in the form of YouTube-VIS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from avseg.io.files import write_aside
from avseg.io.rle import area, box
from avseg.types import Rle, TrackTarget


def write_table(
    path: Path, videos: Sequence[str], annotations: Iterable[str], classes: Sequence[str], info: str = ""
) -> None:
    """The annotation file of one split, written piece by piece.

    Args:
        path: The file.
        videos: Their entries as JSON.
        annotations: Theirs, without the ids, which are 1, 2, ...
        classes: Names of the categories 1, 2, ...
        info: What the file says of itself.
    """
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    # `info` is looked up by readers of this form. No version and no date: one seed gives the same bytes.
    with write_aside(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"info": {json.dumps({"description": info})}, "licenses": [], "videos": [\n')
        file.write(",\n".join(videos))
        file.write(f'\n], "categories": {json.dumps(categories)}, "annotations": [\n')
        for number, text in enumerate(annotations, start=1):
            file.write(",\n" if number > 1 else "")
            file.write(f'{{"id": {number}, {text[1:]}')
        file.write("\n]}\n")


def video_entry(number: int, names: list[str], target: TrackTarget) -> dict[str, Any]:
    """A video in the form of YouTube-VIS."""
    height, width = target.size
    return {"id": number, "width": width, "height": height, "length": len(names), "file_names": names}


def track_entries(number: int, target: TrackTarget) -> list[dict[str, Any]]:
    """The tracks of a video in the form of YouTube-VIS, without ids; those that are never seen are left out."""
    height, width = target.size
    entries = []
    for track, label in zip(target.masks, target.classes.tolist(), strict=True):
        masks = [mask if mask is not None and area(mask) else None for mask in track]
        if not any(masks):
            continue
        entry = {
            "video_id": number,
            "category_id": label,
            "iscrowd": 0,
            "height": height,
            "width": width,
            "bboxes": [None if mask is None else list(box(mask)) for mask in masks],
            "areas": [None if mask is None else area(mask) for mask in masks],
            "segmentations": [None if mask is None else _text(mask) for mask in masks],
        }
        entries.append(entry)
    return entries


def _text(mask: Rle) -> dict[str, Any]:
    counts = mask["counts"]
    return {"size": list(mask["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}
