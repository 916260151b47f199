"""Pictures of a video with their times, in constant memory; the door to everything that reads or writes video.

Time is in seconds from the first picture, on the clock that picture and sound share.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avseg.io.media import (
    MediaError,
    Orientation,
    SoundInfo,
    VideoInfo,
    decoded,
    open_media,
    orientation_of,
    picture_stream,
    probe,
)
from avseg.io.video_sound import iter_audio, read_audio
from avseg.io.video_writer import VideoWriter, write_video

__all__ = [
    "MediaError",
    "SoundInfo",
    "VideoInfo",
    "VideoWriter",
    "iter_audio",
    "iter_frames",
    "probe",
    "read_audio",
    "write_video",
]

log = logging.getLogger(__name__)

EARLY = 1e-4
"""A frame counts as shown this many seconds before its time, so that rounded clocks (1/90000 s, 1 ms) do no harm."""


def iter_frames(
    path: str | Path, fps: float | Fraction | None = None, offset: float = 0.0
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield (time in s, picture (H, W, 3) uint8 RGB as shown, rotation applied).

    Args:
        path: any file FFmpeg can open.
        fps: None gives every frame at its own time. A rate gives one picture at each time offset + k / fps up to the
            end of the video: the last frame shown by then. A video that ends before `offset` gives its last frame.
        offset: s, the first time of that grid.

    Raises:
        MediaError: the file cannot be opened or holds no picture; see `open_media`.
    """
    if fps is not None and fps <= 0:
        raise ValueError(f"fps is {fps}, wanted a positive number of pictures a second")
    with open_media(path) as container:
        stream = picture_stream(container, path)
        frames = _timed(container, stream, path)
        if fps is not None:
            frames = _on_grid(frames, Fraction(fps).limit_denominator(1000), offset)
        picture = _Picture()
        for time, frame in frames:
            yield time, picture.of(frame)


def _timed(container: Any, stream: Any, path: str | Path) -> Iterator[tuple[float, Any]]:
    """(time, frame) of every frame; times start at zero and grow, whatever the stamps in the file do."""
    step = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    stated = None if stream.duration is None else float(stream.duration * stream.time_base)
    start, time = None, -step
    for frame in decoded(container, stream):
        stamp = frame.pts if frame.pts is not None else frame.dts
        own = time + step
        if stamp is not None:
            clock = float(stamp * frame.time_base)
            start = clock - own if start is None else start
            own = clock - start
        time = own if own > time else time + step
        yield time, frame
    if time < 0:
        raise MediaError(f"{path} holds no frame that can be decoded; it is empty or cut short")
    if stated and time + step < 0.9 * stated:
        log.warning("%s: frames end at %.1f s of the stated %.1f s; the file is cut short", path, time + step, stated)


def _on_grid(frames: Iterator[tuple[float, Any]], fps: Fraction, offset: float) -> Iterator[tuple[float, Any]]:
    """(grid time, frame shown then); frames between two grid times are never converted to RGB."""
    k, shown, time, end = 0, None, 0.0, 0.0
    for time, frame in frames:
        while shown is not None and (tick := offset + float(k / fps)) < time - EARLY:
            yield tick, shown
            k += 1
        length = float((frame.duration or 0) * (frame.time_base or 0))
        end = time + (length or time - end or float(1 / fps))
        shown = frame
    if k == 0 and offset >= end - EARLY:
        yield time, shown
    while (tick := offset + float(k / fps)) < end - EARLY:
        yield tick, shown
        k += 1


class _Picture:
    """Frames as RGB arrays of one size; a frame that is shown twice is converted once."""

    def __init__(self) -> None:
        self._frame: Any = None
        self._array: NDArray[np.uint8] | None = None
        self._size: tuple[int, int] | None = None
        self._orientation: Orientation | None = None

    def of(self, frame: Any) -> NDArray[np.uint8]:
        if self._array is None or frame is not self._frame:
            self._size = self._size or (frame.width, frame.height)
            # Asked of the first frame alone: a frame whose side data were looked at lives until garbage is collected.
            self._orientation = self._orientation or orientation_of(frame)
            width, height = self._size
            stored = frame.to_ndarray(format="rgb24", width=width, height=height)
            self._array = self._orientation.apply(stored)
            self._frame = frame
        return self._array
