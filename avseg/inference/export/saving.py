"""Writing a result folder of one video: masks, other outputs and result.json in one pass, added to existing files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

from avseg.inference.export.existing import Existing, place
from avseg.inference.export.files import ResultHeader, Sink, facts_of, write_frames
from avseg.inference.export.kinds import kinds
from avseg.inference.export.writer import FramePictures, Maker, Subject, SurvivingWriter, Told, Writer
from avseg.inference.records import FrameResult, FrameStream, Measured
from avseg.inference.stored import Source, StoredVideo
from avseg.io.files import folder_aside
from avseg.io.media import VideoInfo
from avseg.lazy import imported
from avseg.progress import Progress
from avseg.types import Clip


@dataclass(frozen=True)
class Written:
    """The outcome of writing a video's result."""

    sounding: list[dict[str, Any]]
    """When each object sounds; see `Result.sounding`."""
    duration: float
    """s."""
    seconds: float
    """Duration of the work in s."""
    faults: dict[str, str] = field(default_factory=dict)
    """The reason for each missing kind of output."""


def save_frames(
    folder: Path,
    source: Source,
    frames: Sequence[FrameResult],
    measured: Measured,
    header: ResultHeader,
    explanation: Mapping[str, Any],
) -> Path:
    """Write the frames of a result to a folder; see `Result.save`."""
    facts, known, stopped = facts_of(source), kinds(), Event()
    with folder_aside(folder) as aside, ExitStack() as stack:
        writers: list[Writer] = []
        if not isinstance(source, StoredVideo):
            subject = stack.enter_context(_subject(aside, folder.name, source, header, stopped=stopped))
            for kind in header.saved:
                writers.append(imported(known[kind].address)(subject))
                stack.callback(writers[-1].abandon)
        draft = write_frames(aside, header, facts["file"], frames, [writer.add for writer in writers], stopped)
        told = Told(measured.duration, draft.intervals.closed(measured.duration), explanation)
        for writer in writers:
            writer.finish(told)
        draft.finish(header.to_dict({**facts, **measured.to_dict()}, folder.name), explanation)
        place(aside, folder, replacing=True)
    return folder


def write_video_result(
    existing: Existing,
    info: VideoInfo,
    frames: FrameStream,
    header: ResultHeader,
    makers: Mapping[str, Maker],
    *,
    replacing: bool = False,
) -> Written:
    """Masks, other outputs and result.json of one video in one pass over its frames.

    Files are written to a temporary folder and moved when complete. If one kind of output fails, only that kind is
    missing.

    Args:
        existing: The folder and its contents.
        info: The video.
        frames: The results of the video.
        header: The outputs to write.
        makers: Makers of the writers, by kind.
        replacing: Remove the earlier result; otherwise its outputs are kept next to the new ones.
    """
    begun, facts, known = perf_counter(), facts_of(info), kinds()
    name = existing.folder.name
    with folder_aside(existing.folder) as aside, _subject(aside, name, info, header, share=frames.share) as subject:
        writers: dict[str, SurvivingWriter] = {}
        with Progress(max(round(info.duration), 1) if info.duration else None, info.path.name, "second") as progress:
            try:
                for kind in header.saved:
                    writers[kind] = SurvivingWriter(known[kind], makers[kind], subject)
                sinks: list[Sink] = [
                    lambda frame: _show(progress, frame, frames),
                    *(writer.add for writer in writers.values()),
                ]
                draft = write_frames(aside, header, facts["file"], frames, sinks, subject.stopped)
                measured, notes = frames.measured, frames.notes
                sounding = draft.intervals.closed(measured.duration)
                for writer in writers.values():
                    writer.finish(Told(measured.duration, sounding, notes))
            finally:
                for writer in writers.values():
                    writer.abandon()
        faults = {kind: writer.fault for kind, writer in writers.items() if writer.fault}
        head = header.without(faults).to_dict({**facts, **measured.to_dict()}, name)
        draft.finish(head if replacing else existing.kept(head), notes)
        place(aside, existing.folder, replacing=replacing)
    return Written(sounding, measured.duration, perf_counter() - begun, faults)


@contextmanager
def _subject(aside: Path, name: str, source: VideoInfo | Clip, header: ResultHeader, **more: Any) -> Iterator[Subject]:
    pictures = FramePictures(source, header.fps)
    try:
        yield Subject(name, aside, source, header.task, pictures, header.style, **more)
    finally:
        pictures.close()


def _show(progress: Progress, frame: FrameResult, frames: FrameStream) -> None:
    frames.check()
    second = int(frame.time)
    progress.at(second if progress.total is None else min(second, progress.total))
