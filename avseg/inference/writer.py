"""Results on disk: result.json, masks and the overlay video, written frame by frame (docs/predict.md)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from avseg.inference.found import class_names
from avseg.inference.overlay import OverlayVideo, save_overlay
from avseg.inference.result import FrameResult, Intervals, MaskKind, Result, TrackTable
from avseg.io.files import write_folder_aside
from avseg.io.image import write_png
from avseg.io.media import VideoInfo
from avseg.io.youtube_vis import write_results
from avseg.render.palette import palette
from avseg.types import Task
from avseg.version import __version__

FORMAT = "avseg.result"
FORMAT_VERSION = 1
RESULT_NAME = "result.json"
OVERLAY_NAME = "overlay.mp4"
TRACKS_NAME = "tracks.json"
MASK_NAMES: dict[MaskKind, str] = {"png": "masks/{index:06d}.png", "rle": "masks.jsonl", "npz": "masks.npz"}

Sink = Callable[[FrameResult], None]


@dataclass(frozen=True)
class Header:
    """What result.json says before the frames."""

    video: dict[str, Any]
    model: dict[str, Any]
    task: Task
    fps: float
    masks: MaskKind | None
    overlay: bool

    def to_dict(self) -> dict[str, Any]:
        table = palette(self.task)
        names = enumerate(class_names(self.task), start=1)
        classes: list[dict[str, Any]] = [{"id": i, "name": name} for i, name in names]
        for one in classes if self.task.kind != "instance" else []:
            one["colour"] = table[one["id"]].tolist()
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "avseg": __version__,
            "video": self.video,
            "model": self.model,
            "fps": self.fps,
            "masks": None if self.masks is None else {"kind": self.masks, "file": MASK_NAMES[self.masks]},
            "overlay": OVERLAY_NAME if self.overlay else None,
            "tracks": TRACKS_NAME if self.task.kind == "instance" else None,
            "classes": classes,
        }


def video_facts(info: VideoInfo) -> dict[str, Any]:
    """What result.json says of the video."""
    sound = info.sound
    return {
        "file": info.path.name,
        "bytes": info.path.stat().st_size,
        "width": info.width,
        "height": info.height,
        "fps": round(info.fps, 6),
        "duration": round(info.duration, 6),
        "sound": None
        if sound is None
        else {"codec": sound.codec, "sample_rate": sound.sample_rate, "channels": sound.channels},
    }


def write_frames(folder: Path, header: Header, frames: Iterable[FrameResult], sinks: Iterable[Sink] = ()) -> int:
    """Write result.json, masks and tracks of `frames` into an existing folder, and show each to `sinks`.

    All but tracks, which end with the last frame, are written as they come.

    Returns:
        How many frames there were.
    """
    count, intervals = 0, Intervals(header.video["duration"])
    with ExitStack() as stack:
        lines = stack.enter_context(_json_lines(folder / RESULT_NAME, header.to_dict(), intervals))
        takers: list[Sink] = [*sinks, intervals.add, lambda frame: lines(_frame_dict(frame))]
        if header.masks is not None:
            takers.append(stack.enter_context(_MASK_WRITERS[header.masks](folder, header.task)))
        if header.task.kind == "instance":
            takers.append(stack.enter_context(_tracks(folder, header)))
        for frame in frames:
            for take in takers:
                take(frame)
            count += 1
    return count


def _frame_dict(frame: FrameResult) -> dict[str, Any]:
    return {
        "index": frame.index,
        "time": round(frame.time, 6),
        "heard": [round(second, 6) for second in frame.heard],
        "objects": [
            {
                "id": found.id,
                "class_id": found.class_id,
                "class": found.name,
                "score": round(found.score, 4),
                "area": found.area,
                "box": list(found.box),
            }
            for found in frame.objects
        ],
    }


@contextmanager
def _json_lines(path: Path, head: dict[str, Any], intervals: Intervals) -> Iterator[Callable[[dict[str, Any]], None]]:
    """One JSON object whose frames are written one a line, so that none is held."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}") + ',\n "frames": [')
        separator = "\n  "

        def write(frame: dict[str, Any]) -> None:
            nonlocal separator
            file.write(separator + json.dumps(frame, ensure_ascii=False))
            separator = ",\n  "

        yield write
        sounding = json.dumps(intervals.closed(), ensure_ascii=False)
        file.write(f'\n ],\n "sounding": {sounding}\n}}\n')


@contextmanager
def _png_masks(folder: Path, task: Task) -> Iterator[Sink]:
    colours = palette(task).tolist()

    def write(frame: FrameResult) -> None:
        write_png(folder / MASK_NAMES["png"].format(index=frame.index), frame.labels, colours)

    (folder / "masks").mkdir(exist_ok=True)
    yield write


@contextmanager
def _rle_masks(folder: Path, task: Task) -> Iterator[Sink]:
    with (folder / MASK_NAMES["rle"]).open("w", encoding="utf-8", newline="\n") as file:
        yield lambda frame: _write_rle(file, frame)


def _write_rle(file: TextIO, frame: FrameResult) -> None:
    masks = [{"id": found.id, "rle": found.rle} for found in frame.objects]
    file.write(json.dumps({"index": frame.index, "masks": masks}) + "\n")


@contextmanager
def _npz_masks(folder: Path, task: Task) -> Iterator[Sink]:
    """An .npz is a zip of .npy files; one a frame, written as they come."""
    with zipfile.ZipFile(folder / MASK_NAMES["npz"], "w", zipfile.ZIP_DEFLATED) as archive:

        def write(frame: FrameResult) -> None:
            content = io.BytesIO()
            np.save(content, frame.labels)
            archive.writestr(f"{frame.index:06d}.npy", content.getvalue())

        yield write


@contextmanager
def _tracks(folder: Path, header: Header) -> Iterator[Sink]:
    """The form of YouTube-VIS; the video is number 1."""
    table = TrackTable(header.video["file"])
    yield table.add
    write_results([table.prediction(header.task)], folder / TRACKS_NAME, {table.name: 1})


_MASK_WRITERS = {"png": _png_masks, "rle": _rle_masks, "npz": _npz_masks}


def save_result(result: Result, folder: Path, masks: MaskKind | None, *, overlay: bool) -> Path:
    """See `Result.save`."""
    height, width = result.size
    facts = video_facts(result.info) if result.info else {"width": width, "height": height, "sound": None}
    facts = {"file": result.id, "fps": result.fps, "duration": result.duration, **facts}
    model = {"name": result.model, "task": result.task.to_dict()}
    with write_folder_aside(folder) as aside:
        write_frames(aside, Header(facts, model, result.task, result.fps, masks, overlay), result.frames)
        if overlay:
            save_overlay(result, aside / OVERLAY_NAME)
    return folder


def write_video_result(folder: Path, info: VideoInfo, frames: Iterable[FrameResult], header: Header) -> int:
    """Result, masks and overlay of one video in one pass over its masks, whole or absent."""
    with write_folder_aside(folder) as aside, ExitStack() as stack:
        sinks: list[Sink] = []
        if header.overlay:
            video = stack.enter_context(OverlayVideo(aside / OVERLAY_NAME, info, header.task))
            sinks.append(video.add)
        return write_frames(aside, header, frames, sinks)
