"""The overlay: the video with its masks painted in, written during prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avseg.inference.export.files import OVERLAY_NAME
from avseg.inference.export.style import PLAIN, Style
from avseg.inference.export.writer import WAITING, Picture, Share, Subject, Told, share_nothing
from avseg.inference.records import SEEN, FrameResult
from avseg.io.downmix import mixed
from avseg.io.files import write_aside
from avseg.io.media import VideoInfo
from avseg.io.pictures import Timed
from avseg.io.stages import Ahead, Behind
from avseg.io.video import VideoWriter, iter_audio, iter_frames
from avseg.io.video_sound import Piece
from avseg.io.video_writer import Coding, pieces_of
from avseg.render.legend import Line
from avseg.render.overlay import Paint
from avseg.render.palette import palette
from avseg.types import Clip, Task


class Painter(Protocol):
    """Masks of one frame, ready to be painted."""

    def on(self, picture: Picture) -> Picture:
        """Paint on a picture (H, W, 3); returns (H, W, 3) or (H, W, 4)."""


Painting: TypeAlias = Callable[[FrameResult], Painter]


def paint_of(frame: FrameResult, colours: NDArray[np.uint8], style: Style = PLAIN) -> Paint:
    """Return the paint of a frame: masks, names of masks that are not specks, and for tracks a list of all."""
    looks: dict[str, Any] = {"silent": style.silent, "corner": style.legend, "scale": style.type_size}
    named = {one.id for one in frame.objects if one.area >= SEEN * frame.size[0] * frame.size[1]}
    if not frame.tracks:
        names = {i: name for i, name in frame.names.items() if i in named}
        return Paint(frame.labels, names, colours, style.opacity, **looks)
    texts = {track.id: f"{track.id} {track.name} {track.score:.2f}" for track in frame.tracks}
    listed = [
        Line(texts[track.id], tuple(colours[track.id].tolist()), track.id in frame.names)
        for track in sorted(frame.tracks, key=lambda one: one.id)
    ]
    names = {i: texts[i] for i in frame.names if i in named}
    return Paint(frame.labels, names, colours, style.opacity, listed, **looks)


class OverlayVideo:
    """Paints every frame of a video with the mask nearest in time; keeps the frame rate and the sound.

    It follows the masks as they arrive, so that few pictures are in memory. One thread decodes, or reuses the pictures
    decoded for the network, one encodes, and the caller's thread paints.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        painting: Painting,
        coding: Coding | None = None,
        stopped: Event | None = None,
        share: Share = share_nothing,
    ) -> None:
        """
        Args:
            path: of the file.
            info: of the video.
            painting: returns the paint of a frame.
            coding: see `VideoWriter`.
            stopped: set by another thread to cancel the file.
            share: see `Subject`.
        """
        self._painting, self._stopped = painting, stopped or Event()
        self._mask: FrameResult | None = None
        self._picture: Timed | None = None
        self._has_begun = self._is_complete = False
        """Whether the first picture has been requested; whether all are written."""
        sound, aspect = info.path if info.as_it_is else self._pieces(info), info.pixel_aspect
        self._writer = VideoWriter(path, info.fps, sound=sound, pixel_aspect=aspect, coding=coding)
        self._shared = share(self._stopped)
        self._source = self._shared or iter_frames(info, warn=False)
        self._pictures = Ahead(self._source, WAITING)
        self._encoding: Behind[Timed] = Behind(lambda timed: self._writer.write(timed[1], timed[0]), WAITING)

    def add(self, frame: FrameResult) -> None:
        """Add the next mask; pictures up to half-way between it and the previous one are written."""
        if self._mask is not None:
            self._write_to((self._mask.time + frame.time) / 2)
        self._mask = frame

    def abandon(self) -> None:
        """Close both files; the output is incomplete."""
        if self._shared is not None:
            self._shared.close()  # whoever waits for a frame gets none
        self._pictures.close()
        self._encoding.abandon()
        self._writer.abandon()

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._write_to(float("inf"))
                self._encoding.finish()
                self._is_complete = True
                self._writer.close(self._source.end)
                return
        except BaseException:
            self.abandon()
            raise
        self.abandon()

    def _pieces(self, info: VideoInfo) -> Iterator[Piece]:
        """Yield the sound of the part, or the replacement sound, cut at the end of the picture."""
        if info.sound is None:
            return
        for time, piece, rate in iter_audio(info, channels=min(info.sound.channels, 2)):
            room = piece.shape[1]
            if self._is_complete:  # then the end of the pictures is known
                room = max(min(room, round((self._source.end - time) * rate)), 0)
            if room:
                yield time, piece[:, :room], rate
            if room < piece.shape[1]:
                return

    def _write_to(self, border: float) -> None:
        if self._mask is None:
            return
        if not self._has_begun:
            self._has_begun, self._picture = True, next(self._pictures, None)
        if self._picture is None or self._picture[0] > border:
            return
        paint = self._painting(self._mask)
        while self._picture is not None and self._picture[0] <= border and not self._stopped.is_set():
            time, picture = self._picture
            self._encoding.add((time, paint.on(picture)))
            self._picture = next(self._pictures, None)


class PaintedWriter:
    """See `avseg.inference.export.writer.Writer`: a video that shows the masks."""

    def __init__(self, subject: Subject, name: str, painting: Painting, coding: Coding | None = None) -> None:
        """`name`: of the file."""
        self._clip = subject.source if isinstance(subject.source, Clip) else None
        self._path, self._painting, self._coding = subject.folder / name, painting, coding
        self._frames: list[FrameResult] = []
        self._video: OverlayVideo | None = None
        if not isinstance(subject.source, Clip):
            more = subject.stopped, subject.share
            self._video = OverlayVideo(self._path, subject.source, painting, coding, *more)

    def add(self, frame: FrameResult) -> None:
        """Add the next mask; the masks of a clip, whose pictures are in memory, are painted at the end."""
        if self._video is None:
            self._frames.append(frame)
        else:
            self._video.add(frame)

    def finish(self, told: Told) -> None:
        """Write the rest."""
        if self._clip is not None:
            _save_clip(self._path, self._clip, self._frames, self._painting, self._coding)
        elif self._video is not None:
            video, self._video = self._video, None
            video.__exit__(None, None, None)

    def abandon(self) -> None:
        """Close the file."""
        if self._video is not None:
            self._video.abandon()


class OverlayWriter(PaintedWriter):
    """Writes the overlay."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, OVERLAY_NAME, painting_of(subject.task, subject.style))


def painting_of(task: Task, style: Style = PLAIN) -> Painting:
    """Return a function that paints masks and names in the colours of a task."""
    return partial(paint_of, colours=palette(task), style=style)


def save_overlay(
    path: Path, source: VideoInfo | Clip, frames: Sequence[FrameResult], task: Task, style: Style = PLAIN
) -> Path:
    """Write the overlay of a result; see `Result.save_video`."""
    painting = painting_of(task, style)
    if isinstance(source, Clip):
        return _save_clip(path, source, frames, painting)
    with write_aside(path) as aside, OverlayVideo(aside, source, painting) as video:
        for frame in frames:
            video.add(frame)
    return path


def _save_clip(
    path: Path, clip: Clip, frames: Sequence[FrameResult], painting: Painting, coding: Coding | None = None
) -> Path:
    """Write every frame at its time, the first one from the start of the clip, with the sound from there."""
    begin = float(clip.times[0])
    lead = round((begin - clip.audio_start) * clip.sample_rate)
    sound = np.pad(clip.audio.numpy()[:, max(lead, 0) :], ((0, 0), (max(-lead, 0), 0)))
    pieces = pieces_of(mixed(sound, [], min(len(sound), 2)), clip.sample_rate)
    with write_aside(path) as aside:
        writer = VideoWriter(aside, clip.rate, sound=pieces, coding=coding)
        try:
            for picture, frame in zip(clip.frames, frames, strict=True):
                painted = painting(frame).on(picture.permute(1, 2, 0).numpy())
                writer.write(painted, frame.time - begin if frame.index else 0.0)
            writer.close(clip.end - begin)
        except BaseException:
            writer.abandon()
            raise
    return path
