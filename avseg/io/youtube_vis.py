"""Tracks of a data set as one JSON in the YouTube-VIS format, written and read (docs/reference/predictions.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch

from avseg.io.files import write_aside
from avseg.io.rle import encode
from avseg.io.segmentation import from_segmentation, pixels
from avseg.types import InstancePrediction, Rle

Empty: TypeAlias = Literal["null", "rle"]
"""How a frame in which a track is silent is written: null, or as published the run lengths of a mask of zeros."""


class Videos(Protocol):
    """The videos that results refer to, such as `avseg.datasets.aviseg.reader.AVISeg`."""

    ids: list[str]
    """Names of the videos that are read, in order."""
    video_ids: Mapping[str, int]
    """Number of each video in the file of truth; may list more."""
    category_ids: Sequence[int]
    """Number of each class there, in the order of class ids."""

    def extent(self, index: int) -> tuple[int, tuple[int, int]]:
        """Frames of a video, and their (H, W)."""
        ...


def write_results(
    predictions: Iterable[InstancePrediction],
    path: Path,
    video_ids: Mapping[str, int],
    empty: Empty = "null",
    categories: Sequence[int] | None = None,
) -> Path:
    """Write the tracks of many videos as a list of {video_id, score, category_id, segmentations}, whole or not at all.

    Args:
        predictions: One for each video at most; they are taken one at a time.
        video_ids: Number by the name of a video.
        empty: `null` for frames in which a track is silent, or `rle` for a mask of zeros, as published. An empty mask
            that a prediction has is written as it is.
        categories: Number of each class in the order of class ids; by default the class ids themselves.

    Raises:
        ValueError: a video without number or with two predictions, a class without number, or an unknown `empty`.
    """
    if empty not in ("null", "rle"):
        raise ValueError(f"silent frames can be written as null or rle, not as {empty!r}")
    seen: set[str] = set()
    with write_aside(Path(path)) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        begin = "\n"
        for prediction in predictions:
            if prediction.id not in video_ids:
                raise ValueError(f"the video {prediction.id!r} of a prediction has no number; add it to video_ids")
            if prediction.id in seen:
                raise ValueError(f"two predictions are for the video {prediction.id!r}; give one for each")
            seen.add(prediction.id)
            for entry in _entries(prediction, video_ids[prediction.id], empty, categories):
                file.write(begin + json.dumps(entry))
                begin = ",\n"
        file.write("\n]\n")
    return Path(path)


def read_results(path: Path, dataset: Videos) -> Iterator[InstancePrediction]:
    """Tracks of a JSON in the form of YouTube-VIS, for every video of a data set in its order, even if it has none.

    Tracks keep the order of the file and get the ids 1, 2, ... . Null stays None, and run lengths of zeros stay an
    empty mask. Tracks of videos that the data set knows and leaves out are passed over.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no whole JSON of results, an unknown video or category, or masks of another number or size than the
            frames of their video.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of results {path}")
    try:
        entries = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not complete JSON ({error}); write or copy it again") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(
            f"{path} is not a list of tracks; wanted [{{video_id, score, category_id, segmentations}}, ...]"
        )
    return _predictions(path, entries, dataset)


def _entries(
    prediction: InstancePrediction, video_id: int, empty: Empty, categories: Sequence[int] | None
) -> Iterator[dict[str, Any]]:
    for masks, score, label in zip(
        prediction.masks, prediction.scores.tolist(), prediction.classes.tolist(), strict=True
    ):
        if categories is not None and not 1 <= label <= len(categories):
            raise ValueError(f"a track of {prediction.id!r} has class {label}; the classes are 1 to {len(categories)}")
        yield {
            "video_id": video_id,
            "score": score,
            "category_id": label if categories is None else categories[label - 1],
            "segmentations": [_written(mask, prediction.size, empty) for mask in masks],
        }


def _written(mask: Rle | None, size: tuple[int, int], empty: Empty) -> Rle | None:
    if mask is None:
        return None if empty == "null" else _zeros(size[0], size[1])
    counts = mask["counts"]
    return {"size": mask["size"], "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}


@cache
def _zeros(height: int, width: int) -> Rle:
    return encode(np.zeros((height, width), np.uint8))


def _predictions(path: Path, entries: list[dict[str, Any]], dataset: Videos) -> Iterator[InstancePrediction]:
    known = set(dataset.video_ids.values())
    ranks = {number: rank for rank, number in enumerate(dataset.category_ids, start=1)}
    groups: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for place, entry in enumerate(entries):
        _check(f"{path}, track {place}", entry, known, ranks)
        groups.setdefault(entry["video_id"], []).append((place, entry))
    for index, name in enumerate(dataset.ids):
        group = groups.pop(dataset.video_ids[name], [])
        length, size = dataset.extent(index)
        where = f"{path}, video {name!r}"
        masks = [_masks(f"{where}, track {place}", entry["segmentations"], length, size) for place, entry in group]
        _check_counts(where, masks, size)
        yield InstancePrediction(
            id=name,
            masks=masks,
            scores=torch.tensor([float(entry["score"]) for _, entry in group], dtype=torch.float32),
            classes=torch.tensor([ranks[entry["category_id"]] for _, entry in group], dtype=torch.int64),
            track_ids=torch.arange(1, len(group) + 1),
            size=size,
        )


def _check(where: str, entry: dict[str, Any], videos: set[int], ranks: Mapping[int, int]) -> None:
    for key in ("video_id", "score", "category_id", "segmentations"):
        if key not in entry:
            raise ValueError(f"{where} has no {key!r}; wanted video_id, score, category_id and segmentations")
    if not isinstance(entry["video_id"], int) or entry["video_id"] not in videos:
        raise ValueError(f"{where} has the video {entry['video_id']!r}, which is not in the data set")
    if not isinstance(entry["category_id"], int) or entry["category_id"] not in ranks:
        ids = ", ".join(map(str, ranks))
        raise ValueError(f"{where} has the category {entry['category_id']!r}, wanted one of {ids}")
    if not isinstance(entry["score"], (int, float)) or not math.isfinite(entry["score"]):
        raise ValueError(f"{where} has the score {entry['score']!r}, wanted a number")
    if not isinstance(entry["segmentations"], list):
        raise ValueError(f"{where} has no list of segmentations")


def _masks(where: str, entries: list[Any], length: int, size: tuple[int, int]) -> list[Rle | None]:
    """Masks of a track; those whose counts are text are not looked at here."""
    if len(entries) != length:
        raise ValueError(f"{where} has {len(entries)} masks, wanted one (or null) for each of {length} frames")
    wanted = list(size)
    masks: list[Rle | None] = []
    for frame, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("size") == wanted and isinstance(entry.get("counts"), str):
            masks.append({"size": wanted, "counts": entry["counts"]})
            continue
        try:
            masks.append(from_segmentation(entry, size))
        except ValueError as error:
            raise ValueError(f"{where}, frame {frame}: {error}") from error
    return masks


def _check_counts(where: str, masks: Sequence[Sequence[Rle | None]], size: tuple[int, int]) -> None:
    """Refuse counts that do not fill the picture: C code would trust them."""
    counts = [str(mask["counts"]) for track in masks for mask in track if mask is not None]
    if (pixels(counts) != size[0] * size[1]).any():
        raise ValueError(f"{where} has masks whose counts are not run lengths of {size[0]} x {size[1]} pixels")
