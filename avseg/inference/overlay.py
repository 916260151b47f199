"""The video with its masks painted in, written while they are made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from avseg.inference.result import FrameResult, Result
from avseg.io.files import write_aside
from avseg.io.media import VideoInfo
from avseg.io.video import VideoWriter, iter_frames, write_video
from avseg.render.legend import Line
from avseg.render.overlay import Paint
from avseg.render.palette import palette
from avseg.types import Clip, Task


def paint_of(frame: FrameResult, colours: NDArray[np.uint8]) -> Paint:
    """What is painted of a frame: masks with their names; of tracks with number and score, and a list of them all."""
    if not frame.tracks:
        return Paint(frame.labels, frame.names, colours)
    texts = {track.id: f"{track.id} {track.name} {track.score:.2f}" for track in frame.tracks}
    listed = [
        Line(texts[track.id], tuple(colours[track.id].tolist()), track.id in frame.names)
        for track in sorted(frame.tracks, key=lambda one: one.id)
    ]
    return Paint(frame.labels, {i: texts[i] for i in frame.names}, colours, listed=listed)


class OverlayVideo:
    """Paints every frame of a video with the mask nearest in time; keeps its frame rate and its sound.

    It decodes the video on its own and follows the masks as they come, so that no picture waits in memory.
    """

    def __init__(self, path: Path, info: VideoInfo, task: Task) -> None:
        self._writer = VideoWriter(path, info.fps, sound=info.path, pixel_aspect=info.pixel_aspect)
        self._pictures = iter_frames(info.path)
        self._picture = next(self._pictures, None)
        self._colours = palette(task)
        self._mask: FrameResult | None = None

    def add(self, frame: FrameResult) -> None:
        """The next mask; pictures up to half-way between it and the one before are written."""
        if self._mask is not None:
            self._write_to((self._mask.time + frame.time) / 2)
        self._mask = frame

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._write_to(float("inf"))
        except BaseException as failed:
            self._writer.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._writer.__exit__(kind, error, trace)

    def _write_to(self, border: float) -> None:
        if self._mask is None or self._picture is None or self._picture[0] > border:
            return
        paint = paint_of(self._mask, self._colours)
        while self._picture is not None and self._picture[0] <= border:
            time, picture = self._picture
            self._writer.write(paint.on(picture), time)
            self._picture = next(self._pictures, None)


def save_overlay(result: Result, path: Path) -> Path:
    """See `Result.save_video`."""
    if isinstance(result.source, Clip):
        clip = result.source
        starts_with_picture = clip.audio[
            :, round(max(0.0, float(clip.times[0]) - clip.audio_start) * clip.sample_rate) :
        ]
        return write_video(path, _clip_pictures(result, clip), result.fps, starts_with_picture, clip.sample_rate)
    assert result.info is not None
    with write_aside(path) as aside, OverlayVideo(aside, result.info, result.task) as video:
        for frame in result.frames:
            video.add(frame)
    return path


def _clip_pictures(result: Result, clip: Clip) -> Iterator[NDArray[np.uint8]]:
    for picture, frame in zip(clip.frames, result.frames, strict=True):
        yield paint_of(frame, palette(result.task)).on(picture.permute(1, 2, 0).numpy())
