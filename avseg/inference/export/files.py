"""Results on disk: result.json, masks and the overlay video, written frame by frame (docs/reference/result.md)."""

from __future__ import annotations

import io
import json
import math
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import Any, TextIO

import numpy as np

from avseg.inference.export.kinds import kinds
from avseg.inference.export.style import PLAIN, Style
from avseg.inference.records import FrameResult, MaskKind, class_names
from avseg.inference.stored import Source, StoredVideo
from avseg.inference.timeline import Intervals, TrackTable
from avseg.io.image import write_png
from avseg.io.stages import Behind
from avseg.io.youtube_vis import write_results
from avseg.render.palette import palette
from avseg.types import Clip, Task
from avseg.version import __version__

FORMAT = "avseg.result"
FORMAT_VERSION = 1
RESULT_NAME = "result.json"
OVERLAY_NAME = "overlay.mp4"
TRACKS_NAME = "tracks.json"
MASK_NAMES: dict[MaskKind, str] = {"png": "masks/{index:06d}.png", "rle": "masks.jsonl", "npz": "masks.npz"}

WAITING = 16
"""Largest number of predicted frames, with masks as run lengths, in the queue of the writer."""

Sink = Callable[[FrameResult], None]


@dataclass(frozen=True)
class ResultHeader:
    """The head of result.json, before the frames."""

    model: dict[str, Any]
    task: Task
    fps: float
    masks: MaskKind | None
    saved: tuple[str, ...] = ()
    """Kinds of output other than masks; see `avseg.inference.export.kinds`."""
    style: Style = PLAIN
    """Style of the masks; it is not in result.json."""

    def without(self, faulty: Collection[str]) -> ResultHeader:
        """Return the header without kinds that could not be written."""
        return replace(self, saved=tuple(kind for kind in self.saved if kind not in faulty))

    def to_dict(self, video: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """
        Args:
            video: its facts.
            name: of the result's folder.
        """
        known = kinds()
        more = {kind: known[kind].path(name) for kind in self.saved if kind != "overlay"}
        table = palette(self.task)
        names = enumerate(class_names(self.task), start=1)
        classes: list[dict[str, Any]] = [{"id": i, "name": name} for i, name in names]
        for one in classes if self.task.kind != "instance" else []:
            one["colour"] = table[one["id"]].tolist()
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "avseg": __version__,
            "video": dict(video),
            "model": self.model,
            "fps": self.fps,
            "masks": None if self.masks is None else {"kind": self.masks, "file": MASK_NAMES[self.masks]},
            "overlay": OVERLAY_NAME if "overlay" in self.saved else None,
            "tracks": TRACKS_NAME if self.task.kind == "instance" else None,
            **({"saved": more} if more else {}),
            "classes": classes,
        }


def facts_of(source: Source) -> dict[str, Any]:
    """Return the facts of a video in result.json that are known before decoding, or of a clip; `Measured` adds the
    rest.
    """
    if isinstance(source, StoredVideo):
        return dict(source.facts)
    if isinstance(source, Clip):
        height, width = source.result_size
        return {"file": source.id, "width": width, "height": height, "sound": None}
    sound, other, more = source.sound, source.other_sound, dict[str, Any]()
    if source.part is not None:
        begin, end = source.part
        more["part"] = [begin, None if math.isinf(end) else end]
    if other is not None:
        more["audio"] = {"file": other.name, "bytes": other.stat().st_size}
    return {
        "file": source.path.name,
        "bytes": source.path.stat().st_size,
        **more,
        "width": source.width,
        "height": source.height,
        "sound": None
        if sound is None
        else {"codec": sound.codec, "sample_rate": sound.sample_rate, "channels": sound.channels},
    }


class Draft:
    """An unfinished result.json: frames go to a temporary file, because the head before them is known last."""

    def __init__(self, folder: Path) -> None:
        self.count = 0
        """Number of frames so far."""
        self._path = folder / RESULT_NAME
        self._frames = TemporaryFile("w+", encoding="utf-8", newline="\n", dir=folder)  # noqa: SIM115  `finish` closes it
        self.intervals = Intervals()

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._frames.write(("\n  " if not self.count else ",\n  ") + json.dumps(_frame_dict(frame), ensure_ascii=False))
        self.intervals.add(frame)
        self.count += 1

    def finish(self, head: Mapping[str, Any], explanation: Mapping[str, Any]) -> None:
        """Write the file.

        Args:
            head: the entries before the frames.
            explanation: see `avseg.models.session.Session.notes`.

        Raises:
            ValueError, TypeError: if the explanation is not plain JSON.
        """
        sounding = json.dumps(self.intervals.closed(head["video"]["duration"]), ensure_ascii=False)
        why = json.dumps(explanation, ensure_ascii=False, allow_nan=False) if explanation else ""
        with self._frames, self._path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}"))
            file.write(f',\n "explanation": {why}' if why else "")
            file.write(',\n "frames": [')
            self._frames.seek(0)
            shutil.copyfileobj(self._frames, file)
            file.write(f'\n ],\n "sounding": {sounding}\n}}\n')


def write_frames(
    folder: Path,
    header: ResultHeader,
    name: str,
    frames: Iterable[FrameResult],
    sinks: Iterable[Sink] = (),
    stopped: Event | None = None,
) -> Draft:
    """Write masks and tracks of `frames` into an existing folder, and pass each frame to `sinks`.

    A separate thread writes everything as it arrives, while the network continues; tracks are written after the last
    frame.

    Args:
        folder, header: of the result.
        name: of the video.
        frames: in order.
        sinks: called by that thread alone, with one frame after the other.
        stopped: set on an error, before waiting for the writer.

    Returns:
        result.json, to be finished.
    """
    draft, stopped = Draft(folder), stopped or Event()
    with ExitStack() as stack:
        takers: list[Sink] = [*sinks, draft.add]
        if header.masks is not None:
            takers.append(stack.enter_context(_MASK_WRITERS[header.masks](folder, header.task)))
        if header.task.kind == "instance":
            takers.append(stack.enter_context(_tracks(folder, header.task, name)))

        def take(frame: FrameResult) -> None:
            for taker in takers:
                taker(frame)

        with Behind(take, WAITING) as writing, _telling(stopped):
            for frame in frames:
                writing.add(frame)
            writing.finish()
    return draft


@contextmanager
def _telling(stopped: Event) -> Iterator[None]:
    """Set the event if the block fails."""
    try:
        yield
    except BaseException:
        stopped.set()
        raise


def _frame_dict(frame: FrameResult) -> dict[str, Any]:
    return {
        "index": frame.index,
        "time": round(frame.time, 6),
        "heard": [round(second, 6) for second in frame.heard],
        "objects": [
            {
                "id": one.id,
                "class_id": one.class_id,
                "class": one.name,
                "score": round(one.score, 4),
                "area": one.area,
                "box": list(one.box),
            }
            for one in frame.objects
        ],
    }


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
    masks = [{"id": one.id, "rle": one.rle} for one in frame.objects]
    file.write(json.dumps({"index": frame.index, "masks": masks}) + "\n")


@contextmanager
def _npz_masks(folder: Path, task: Task) -> Iterator[Sink]:
    """Write an .npz file frame by frame; it is a zip of .npy files, one per frame."""
    with zipfile.ZipFile(folder / MASK_NAMES["npz"], "w", zipfile.ZIP_DEFLATED) as archive:

        def write(frame: FrameResult) -> None:
            content = io.BytesIO()
            np.save(content, frame.labels)
            # An entry without a time of its own: one result has the same bytes whenever it is made.
            entry = zipfile.ZipInfo(f"{frame.index:06d}.npy")
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED)

        yield write


@contextmanager
def _tracks(folder: Path, task: Task, name: str) -> Iterator[Sink]:
    """Write tracks in the YouTube-VIS format; the video, called `name`, is number 1."""
    table = TrackTable(name)
    yield table.add
    write_results([table.prediction(task)], folder / TRACKS_NAME, {name: 1})


_MASK_WRITERS = {"png": _png_masks, "rle": _rle_masks, "npz": _npz_masks}
