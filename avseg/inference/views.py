"""Views of a result: one line, a card for notebooks, a plot, and tables for other libraries."""

from __future__ import annotations

import base64
import importlib
import io
import logging
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from avseg.inference.export.writer import FramePictures
from avseg.inference.records import SEEN, FrameResult
from avseg.inference.stored import StoredVideo
from avseg.render.overlay import Picture, overlay
from avseg.render.palette import palette
from avseg.render.sheet import Bar, contact_sheet, stacked_pictures, timeline

if TYPE_CHECKING:
    from avseg.inference.result import Result

log = logging.getLogger(__name__)

LONGEST_LINE = 120
"""Length of a result's line in characters."""
SHOWN_FRAMES = 6
QUICK = 120.0
"""Seconds; for longer videos a card shows masks without pictures, to avoid decoding them."""
GREY = 96
"""Grey in place of pictures that are not available."""
COLUMNS = ("frame", "time", "id", "class_id", "class", "score", "area", "left", "top", "width", "height")


def line_of(result: Result) -> str:
    """Return id, size, length and detected objects in at most 120 characters."""
    height, width = result.size
    name = result.id if len(result.id) <= 40 else f"{result.id[:37]}..."
    names = {one.id: one.name for frame in result.frames for one in frame.objects}
    head = f"Result({name!r}, {width}x{height}, {result.duration:.1f} s, {len(result.frames)} frames, "
    head += f"{len(names)} object{'s' * (len(names) != 1)}"
    words = list(dict.fromkeys(names[number] for number in sorted(names)))
    for count in range(len(words), 0, -1):
        more = f" and {len(words) - count} more" if count < len(words) else ""
        if len(line := f"{head}: {', '.join(words[:count])}{more})") <= LONGEST_LINE:
            return line
    return f"{head})"


def card_of(result: Result) -> str:
    """Return self-contained HTML for a notebook: a line, a contact sheet, and when each object sounds."""
    height, width = result.size
    facts = f"{width}x{height}, {result.duration:.1f} s, {result.fps:g} masks per second, {result.model}"
    parts = [f"<div><b>{escape(result.id)}</b> <span>{escape(facts)}</span></div>"]
    if result.frames:
        buffer = io.BytesIO()
        Image.fromarray(_sheet(result, result.duration <= QUICK, 220)).save(buffer, format="JPEG", quality=85)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        parts.append(f'<img alt="frames with their sounding objects" src="data:image/jpeg;base64,{data}">')
    rows = [
        f"<tr><td>{one['id']}</td><td>{escape(one['class'])}</td><td>{_spans(one['intervals'])}</td></tr>"
        for one in result.sounding
    ]
    table = "<tr><th>id</th><th>what</th><th>sounds</th></tr>" + "".join(rows)
    parts.append(f"<table>{table}</table>" if rows else "<div>nothing sounds</div>")
    return f'<div style="font-family: sans-serif">{"".join(parts)}</div>'


def _spans(spans: Sequence[Sequence[float]]) -> str:
    return ", ".join(f"{begin:.1f}-{end:.1f} s" for begin, end in spans) or "never"


def plot_of(result: Result) -> Image.Image:
    """Draw a timeline of when each object sounds, and below it a contact sheet."""
    colours = palette(result.task)
    bars = [Bar(_named(one), tuple(colours[one["id"]].tolist()), one["intervals"]) for one in result.sounding]
    parts = [timeline(bars, result.duration)]
    if result.frames:
        parts.append(_sheet(result, True, 320))
    return Image.fromarray(stacked_pictures(parts))


def _named(one: dict[str, Any]) -> str:
    return f"{one['id']} {one['class']} {one['score']:.2f}" if "score" in one else str(one["class"])


def _sheet(result: Result, decode: bool, tile: int) -> Picture:
    """Return up to six frames spread over the video, with their masks."""
    stride = -(-len(result.frames) // SHOWN_FRAMES)
    chosen, colours = result.frames[::stride], palette(result.task)
    pictures = _pictures(result, chosen) if decode else []
    painted = []
    for place, frame in enumerate(chosen):
        # Made smaller before names are written, which would be too small to read.
        width = min(tile, frame.size[1])
        height = max(round(frame.size[0] * width / frame.size[1]), 1)
        picture = np.full((height, width, 3), GREY, np.uint8)
        if place < len(pictures):
            picture = np.asarray(Image.fromarray(pictures[place]).resize((width, height)))
        labels = np.asarray(Image.fromarray(frame.labels).resize((width, height), Image.Resampling.NEAREST))
        named = {one.id: one.name for one in frame.objects if one.area >= SEEN * frame.size[0] * frame.size[1]}
        painted.append(overlay(picture, labels, named, colours))
    return contact_sheet(painted, [f"{frame.time:.1f} s" for frame in chosen], tile=tile)


def _pictures(result: Result, chosen: Sequence[FrameResult]) -> list[Picture]:
    """Return the pictures of some frames; none if the video no longer exists."""
    if isinstance(result.source, StoredVideo):
        return []
    pictures = FramePictures(result.source, result.fps)
    try:
        return [pictures.of(frame) for frame in chosen]
    except (OSError, ValueError) as error:
        log.warning("pictures are shown in grey: %s", error)
        return []
    finally:
        pictures.close()


def to_pandas(result: Result) -> Any:
    """Return a DataFrame with one row for each object of each frame; see `Result.to_pandas`.

    Raises:
        ImportError: pandas is not installed.
    """
    rows = [
        (frame.index, frame.time, one.id, one.class_id, one.name, one.score, one.area, *one.box)
        for frame in result.frames
        for one in frame.objects
    ]
    return _library("pandas").DataFrame(rows, columns=list(COLUMNS))


def to_supervision(result: Result) -> list[Any]:
    """Return `supervision.Detections`, one for each frame; see `Result.to_supervision`.

    Raises:
        ImportError: supervision is not installed.
    """
    kind = _library("supervision").Detections
    return [_detections(kind, frame, result.task.kind == "instance") for frame in result.frames]


def _detections(kind: Any, frame: FrameResult, tracked: bool) -> Any:
    objects = frame.objects
    boxes = np.array([(left, top, left + w, top + h) for left, top, w, h in (one.box for one in objects)], np.float32)
    return kind(
        xyxy=boxes.reshape(-1, 4),
        mask=np.stack([one.mask for one in objects]) if objects else np.zeros((0, *frame.size), bool),
        confidence=np.array([one.score for one in objects], np.float32),
        class_id=np.array([one.class_id for one in objects], np.int64),
        tracker_id=np.array([one.id for one in objects], np.int64) if tracked else None,
        data={"class_name": np.array([one.name for one in objects], dtype=np.str_)},
    )


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'{name} is not installed; install it with: pip install "avseg[{name}]"') from error
