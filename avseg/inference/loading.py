"""A result read back from the folder that `avseg predict` or `Result.save` wrote (docs/reference/result.md)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avseg.inference.export.files import FORMAT, FORMAT_VERSION, MASK_NAMES, RESULT_NAME, TRACKS_NAME
from avseg.inference.export.form import fault_of
from avseg.inference.records import Detection, FrameResult, Measured, Track
from avseg.inference.stored import StoredVideo
from avseg.io.excerpt import Excerpt
from avseg.io.image import read_index
from avseg.io.media import VideoInfo
from avseg.io.rle import area, encode
from avseg.io.segmentation import from_segmentation
from avseg.types import Rle, Task

AGAIN = "predict the video again with --overwrite"
SCORE_STEP = 1e-4
"""Rounding step of scores in result.json."""

Masks = Callable[[int], Mapping[int, Rle | None]]
"""Returns the masks of a frame by its index: object id -> mask."""


@dataclass(frozen=True)
class StoredResult:
    """The contents of a result folder."""

    id: str
    frames: tuple[FrameResult, ...]
    task: Task
    fps: float
    model: str
    source: VideoInfo | StoredVideo
    measured: Measured
    explanation: Mapping[str, Any]


def load_result(folder: Path, video: Path | None = None, audio: Path | None = None) -> StoredResult:
    """Read result.json and the masks next to it; tracks.json for models that track, else the best format present.

    Args:
        video: The segmented file, needed for outputs with pictures; for a part, the whole file.
        audio: The file whose sound replaced the video's own, if there was one.

    Raises:
        ValueError: if it is not a result of avseg, comes from a newer version, has no masks or masks that do not fit,
            or if the video is another one.
        FileNotFoundError: if the folder or a mask named by result.json is missing.
    """
    if audio is not None and video is None:
        raise ValueError("audio= needs video=; give the file of the video too")
    head = _head(folder)
    try:
        return _stored(folder, head, video, audio)
    except (KeyError, TypeError, AttributeError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ValueError(f"the result in {folder} is damaged ({type(error).__name__}: {error}); {AGAIN}") from error


def _stored(folder: Path, head: Mapping[str, Any], video: Path | None, audio: Path | None) -> StoredResult:
    facts = head["video"]
    source = StoredVideo(facts) if video is None else _same(_excerpt(video, audio, facts, folder), facts, folder)
    task, size = _task(folder, head), (facts["height"], facts["width"])
    tracks, name = _tracks(head), Path(facts["file"]).stem
    with ExitStack() as stack:
        masks = _track_masks(folder, head, size) if head.get("tracks") else _masks(folder, head, stack)
        frames = tuple(_frame(one, size, tracks, masks, folder) for one in head["frames"])
    measured = Measured(facts["fps"], facts["duration"], facts["damaged_packets"])
    return StoredResult(
        name, frames, task, head["fps"], head["model"]["name"], source, measured, head.get("explanation", {})
    )


def _task(folder: Path, head: Mapping[str, Any]) -> Task:
    try:
        return Task.from_dict(head["model"]["task"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the result in {folder} is damaged: model.task has {error}; {AGAIN}") from error


def _excerpt(video: Path, audio: Path | None, facts: Mapping[str, Any], folder: Path) -> VideoInfo:
    """Return the segmented part of the video, with its sound."""
    if (audio is None) != (facts.get("audio") is None):
        other = facts.get("audio") or {"file": "its own"}
        raise ValueError(
            f"the result in {folder} was made with the sound of {other['file']}; "
            + ("pass that file as audio= together with video=" if audio is None else "leave audio= out")
        )
    begin, end = facts.get("part") or (None, None)
    return Excerpt.wanted(begin, end, audio).of(video)


def _head(folder: Path) -> dict[str, Any]:
    path = folder / RESULT_NAME
    if folder.name == RESULT_NAME and folder.is_file():
        raise ValueError(f"{folder} is a file; give its folder, {folder.parent}")
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {RESULT_NAME}; give a folder that avseg predict wrote for one video")
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); predict the video again") from error
    kind = head.get("format", head.get("kind")) if isinstance(head, dict) else type(head).__name__
    if kind != FORMAT:
        raise ValueError(f"{path} has the format {kind}, wanted {FORMAT}, as avseg predict writes it")
    if head.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {head.get('format_version')} but this avseg reads {FORMAT_VERSION}; "
            "install a newer avseg"
        )
    if fault := fault_of(head):
        raise ValueError(f"the result in {folder} is damaged: {fault} in its {RESULT_NAME}; {AGAIN}")
    found: dict[str, Any] = head
    return found


def _same(info: VideoInfo, facts: Mapping[str, Any], folder: Path) -> VideoInfo:
    found = {"bytes": info.path.stat().st_size, "width": info.width, "height": info.height}
    for what, value in found.items():
        if facts.get(what, value) != value:
            raise ValueError(
                f"{info.path} is not the video of {folder}: its {what} is {value}, that of {facts['file']} was "
                f"{facts[what]}"
            )
    return info


def _tracks(head: Mapping[str, Any]) -> tuple[Track, ...]:
    if not head.get("tracks"):
        return ()
    found = [Track(one["id"], one["class_id"], one["class"], one["score"]) for one in head["sounding"]]
    return tuple(sorted(found, key=lambda track: -track.score))


def _frame(
    entry: Mapping[str, Any], size: tuple[int, int], tracks: tuple[Track, ...], masks: Masks, folder: Path
) -> FrameResult:
    there = masks(entry["index"]) if entry["objects"] else {}
    objects = []
    for one in entry["objects"]:
        rle = there.get(one["id"])
        if rle is None or list(rle["size"]) != list(size):
            said = "no mask" if rle is None else f"a mask of {rle['size']}, wanted {list(size)} (height, width),"
            raise ValueError(
                f"{folder}: {said} for object {one['id']} of frame {entry['index']}, which {RESULT_NAME} lists; "
                "predict the video again with --overwrite"
            )
        objects.append(Detection.of(one["id"], one["class_id"], one["class"], one["score"], rle))
    begin, end = entry["heard"]
    return FrameResult(entry["index"], entry["time"], (begin, end), size, tuple(objects), tracks)


def _masks(folder: Path, head: Mapping[str, Any], stack: ExitStack) -> Masks:
    """Return the masks in the best format present: run lengths, then label maps."""
    kinds = [one["kind"] for one in [head.get("masks"), *(head.get("more_masks") or ())] if one]
    if not kinds:
        raise ValueError(
            f"{folder} holds no masks; add them with avseg predict ... --masks png, or read only its {RESULT_NAME}"
        )
    if "rle" in kinds:
        return _rle_masks(folder / MASK_NAMES["rle"], (head["video"]["height"], head["video"]["width"]))
    if "npz" in kinds:
        archive = stack.enter_context(zipfile.ZipFile(_there(folder / MASK_NAMES["npz"])))
        return lambda index: _of_labels(np.load(io.BytesIO(archive.read(f"{index:06d}.npy"))))
    return lambda index: _of_labels(read_index(_there(folder / MASK_NAMES["png"].format(index=index))).numpy())


def _there(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing, though {RESULT_NAME} names it; predict the video again with --overwrite"
        )
    return path


def _of_labels(labels: Any) -> dict[int, Rle | None]:
    return {number: encode(labels == number) for number in np.unique(labels).tolist() if number}


def _rle_masks(path: Path, size: tuple[int, int]) -> Masks:
    frames: dict[int, dict[int, Rle | None]] = {}
    with _there(path).open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            frames[entry["index"]] = {one["id"]: from_segmentation(one["rle"], size) for one in entry["masks"]}
    return lambda index: frames.get(index, {})


def _track_masks(folder: Path, head: Mapping[str, Any], size: tuple[int, int]) -> Masks:
    """Read masks from tracks.json, the only file with complete masks of overlapping tracks; its tracks have no ids."""
    entries = json.loads(_there(folder / TRACKS_NAME).read_text(encoding="utf-8"))
    masks = [[from_segmentation(mask, size) for mask in entry["segmentations"]] for entry in entries]
    frames: dict[int, dict[int, Rle | None]] = {}
    for number, place in _numbers(head, entries, masks):
        for frame, mask in zip(head["frames"], masks[place], strict=True):
            if mask is not None:
                frames.setdefault(frame["index"], {})[number] = mask
    return lambda index: frames.get(index, {})


def _numbers(
    head: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], masks: Sequence[Sequence[Rle | None]]
) -> Iterator[tuple[int, int]]:
    """Match ids to places in tracks.json by class, score and the areas in all frames."""
    areas: dict[int, dict[int, int]] = {}
    for t, frame in enumerate(head["frames"]):
        for one in frame["objects"]:
            areas.setdefault(one["id"], {})[t] = one["area"]
    found = [{t: area(mask) for t, mask in enumerate(track) if mask is not None} for track in masks]
    seen = [{t: pixels for t, pixels in track.items() if pixels} for track in found]
    free = list(range(len(entries)))
    for one in head["sounding"]:
        for place in free:
            alike = entries[place]["category_id"] == one["class_id"]
            alike &= abs(entries[place]["score"] - one["score"]) < SCORE_STEP
            if alike and seen[place] == areas.get(one["id"], {}):
                free.remove(place)
                yield one["id"], place
                break
