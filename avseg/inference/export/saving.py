"""A result folder of one video: masks, overlay and result.json in one pass, added to what was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from avseg.inference.export.existing import Existing, place
from avseg.inference.export.files import OVERLAY_NAME, ResultHeader, Sink, facts_of, write_frames
from avseg.inference.export.overlay import OptionalOverlay, save_overlay
from avseg.inference.records import FrameResult, FrameStream, Measured
from avseg.io.files import folder_aside
from avseg.io.media import VideoInfo
from avseg.progress import Progress
from avseg.types import Clip


@dataclass(frozen=True)
class Written:
    """What was written of a video."""

    sounding: list[dict[str, Any]]
    """When each object sounds; see `Result.sounding`."""
    duration: float
    """s."""
    seconds: float
    """How long it took."""
    fault: str = ""
    """Why a wanted overlay is missing; empty where nothing is."""


def save_frames(
    folder: Path, source: VideoInfo | Clip, frames: Sequence[FrameResult], measured: Measured, header: ResultHeader
) -> Path:
    """See `Result.save`."""
    facts = facts_of(source)
    with folder_aside(folder) as aside:
        draft = write_frames(aside, header, facts["file"], frames)
        if header.overlay:
            save_overlay(aside / OVERLAY_NAME, source, frames, header.task)
        draft.finish(header.to_dict({**facts, **measured.to_dict()}))
        place(aside, folder, replacing=True)
    return folder


def write_video_result(
    existing: Existing, info: VideoInfo, frames: FrameStream, header: ResultHeader, *, replacing: bool = False
) -> Written:
    """Masks, overlay and result.json of one video in one pass over its frames.

    All of it is written aside and moved in when it is whole. A fault of the overlay costs the overlay alone.

    Args:
        existing: The folder, and what it holds.
        info: Of the video.
        frames: Its results.
        header: What is to be written.
        replacing: Remove the result that was there; otherwise its outputs stay beside the new ones.
    """
    begun, facts = perf_counter(), facts_of(info)
    with folder_aside(existing.folder) as aside:
        overlay = OptionalOverlay(aside / OVERLAY_NAME, info, header.task) if header.overlay else None
        with Progress(max(round(info.duration), 1) if info.duration else None, info.path.name, "second") as progress:
            sinks: list[Sink] = [lambda frame: _show(progress, frame)]
            try:
                draft = write_frames(aside, header, facts["file"], frames, sinks + ([overlay.add] if overlay else []))
                if overlay is not None:
                    overlay.close()
            finally:
                if overlay is not None:
                    overlay.abandon()
        fault, measured = "" if overlay is None else overlay.fault, frames.measured
        head = replace(header, overlay=header.overlay and not fault).to_dict({**facts, **measured.to_dict()})
        draft.finish(head if replacing else existing.kept(head))
        place(aside, existing.folder, replacing=replacing)
    sounding = draft.intervals.closed(measured.duration)
    return Written(sounding, measured.duration, perf_counter() - begun, fault)


def _show(progress: Progress, frame: FrameResult) -> None:
    second = int(frame.time)
    progress.at(second if progress.total is None else min(second, progress.total))
