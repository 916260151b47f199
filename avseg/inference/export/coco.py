"""Results in the form of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avseg.inference.records import FrameResult, class_names
from avseg.types import Task
from avseg.version import __version__


def to_coco(name: str, frames: Sequence[FrameResult], task: Task) -> dict[str, Any]:
    """See `Result.to_coco`: ids count from 1, `time` is in seconds, `track_id` is the object's id in label maps.

    Args:
        name: of the video.
        frames: its results.
        task: of the model.
    """
    annotations: list[dict[str, Any]] = []
    for frame in frames:
        for one in frame.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": frame.index + 1,
                    "category_id": one.class_id,
                    "segmentation": one.rle,
                    "area": one.area,
                    "bbox": list(one.box),
                    "iscrowd": 0,
                    "score": one.score,
                    "track_id": one.id,
                }
            )
    images = [
        {
            "id": frame.index + 1,
            "file_name": f"{name}/{frame.index:06d}.png",
            "height": frame.size[0],
            "width": frame.size[1],
            "time": frame.time,
        }
        for frame in frames
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(class_names(task), start=1)]
    # Readers look up `info` and count on it; without a date one result is the same bytes whenever it is written.
    info = {"description": "Sounding objects of a video, segmented by avseg", "version": __version__}
    return {"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
