"""A result folder of one video: masks, overlay and result.json in one pass, added to what was there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from avseg.inference.existing import Existing, place
from avseg.inference.overlay import OptionalOverlay, save_overlay
from avseg.inference.result import FrameResult, FrameStream, MaskKind, Result
from avseg.inference.writer import OVERLAY_NAME, Header, Sink, measured, video_facts, write_frames
from avseg.io.files import folder_aside
from avseg.io.media import VideoInfo
from avseg.progress import Progress


@dataclass(frozen=True)
class Written:
    """What was written of a video."""

    masks: int
    """Frames with masks."""
    sounding: list[dict[str, Any]]
    """When each object sounds; see `Result.sounding`."""
    duration: float
    """s."""
    seconds: float
    """How long it took."""
    fault: str = ""
    """Why a wanted overlay is missing; empty where nothing is."""


def save_result(result: Result, folder: Path, masks: MaskKind | None, *, overlay: bool) -> Path:
    """See `Result.save`."""
    height, width = result.size
    facts = video_facts(result.info) if result.info else {"width": width, "height": height, "sound": None}
    facts = measured({"file": result.id, **facts}, fps=result.rate, duration=result.duration)
    facts |= {"damaged_packets": result.damaged}
    model = {"name": result.model, "task": result.task.to_dict()}
    header = Header(model, result.task, result.fps, masks, overlay)
    with folder_aside(folder) as aside:
        draft = write_frames(aside, header, str(facts["file"]), result.frames)
        if overlay:
            save_overlay(result, aside / OVERLAY_NAME)
        draft.finish(header.to_dict(facts))
        place(aside, folder, replacing=True)
    return folder


def write_video_result(
    existing: Existing, info: VideoInfo, frames: FrameStream, header: Header, *, replacing: bool = False
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
    begun = perf_counter()
    with folder_aside(existing.folder) as aside:
        overlay = OptionalOverlay(aside / OVERLAY_NAME, info, header.task) if header.overlay else None
        with Progress(max(round(info.duration), 1) if info.duration else None, info.path.name, "second") as progress:
            sinks: list[Sink] = [lambda frame: _show(progress, frame)]
            try:
                draft = write_frames(aside, header, info.path.name, frames, sinks + ([overlay.add] if overlay else []))
                if overlay is not None:
                    overlay.close()
            finally:
                if overlay is not None:
                    overlay.abandon()
        fault = "" if overlay is None else overlay.fault
        facts = measured(video_facts(info), fps=frames.fps, duration=frames.end)
        facts |= {"damaged_packets": frames.damaged}
        head = replace(header, overlay=header.overlay and not fault).to_dict(facts)
        draft.finish(head if replacing else existing.kept(head))
        place(aside, existing.folder, replacing=replacing)
    sounding = draft.intervals.closed(frames.end)
    return Written(draft.count, sounding, frames.end, perf_counter() - begun, fault)


def _show(progress: Progress, frame: FrameResult) -> None:
    second = int(frame.time)
    progress.at(second if progress.total is None else min(second, progress.total))
