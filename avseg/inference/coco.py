"""Results in the form of COCO."""

from __future__ import annotations

from typing import Any

from avseg.inference.found import class_names
from avseg.inference.result import Result
from avseg.version import __version__


def to_coco(result: Result) -> dict[str, Any]:
    """See `Result.to_coco`: ids count from 1, `time` is in seconds, `track_id` is the object's id in label maps."""
    height, width = result.size
    annotations: list[dict[str, Any]] = []
    for frame in result.frames:
        for found in frame.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": frame.index + 1,
                    "category_id": found.class_id,
                    "segmentation": found.rle,
                    "area": found.area,
                    "bbox": list(found.box),
                    "iscrowd": 0,
                    "score": found.score,
                    "track_id": found.id,
                }
            )
    images = [
        {
            "id": frame.index + 1,
            "file_name": f"{result.id}/{frame.index:06d}.png",
            "height": height,
            "width": width,
            "time": frame.time,
        }
        for frame in result.frames
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(class_names(result.task), start=1)]
    # Readers look up `info` and count on it; without a date one result is the same bytes whenever it is written.
    info = {"description": "Sounding objects of a video, segmented by avseg", "version": __version__}
    return {"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
