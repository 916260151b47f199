"""The pictures of a video with their times, one after the other, and the end of the last one."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from avseg.io.clock import believed
from avseg.io.colour import rgb_of
from avseg.io.ending import Ending
from avseg.io.image import eight_bit, open_image
from avseg.io.late import DoubtError, late_frames
from avseg.io.media import Media, MediaError, open_media, time_of
from avseg.io.orientation import Orientation, orientation_of

log = logging.getLogger(__name__)

EARLY = 1e-4
"""s; a frame counts as shown this much before its time, so that rounded clocks (1/90000 s, 1 ms) do no harm."""
STILL_RATE = 10
"""Pictures a second of a video that is made of one picture."""
Timed: TypeAlias = tuple[float, NDArray[np.uint8]]
"""Time in s from the first picture, and the picture (H, W, 3) uint8 RGB."""


class Pictures(Iterator[Timed]):
    """Yields (time in s, picture (H, W, 3) uint8 RGB as shown, rotation applied), in constant memory.

    Time is counted from the first picture and grows, whatever the stamps in the file do.
    """

    def __init__(
        self,
        path: str | Path,
        fps: Fraction | None = None,
        offset: float = 0.0,
        warn: bool = True,
        part: tuple[float, float] | None = None,
    ) -> None:
        """
        Args:
            path: any file FFmpeg can open.
            fps: None gives every frame; a rate gives the frame shown at each time offset + k / fps.
            offset: s.
            warn: log a warning when the file turns out to be cut short.
            part: s, begin and end of what is given; it begins with the picture shown at its begin, which is time zero.
        """
        self.end = 0.0
        """s, the end of the last frame that was decoded; final once all pictures have been given."""
        self.count = 0
        """Frames decoded so far, also those that no time of the grid shows."""
        self.damaged = 0
        """Packets of picture and sound read so far that are damaged."""
        self.also: Callable[[float, Any], None] | None = None
        """Is shown every frame that is decoded, with its time, and at the end None, with the end of the last one; or
        with -1 where this iterator is left before."""
        self.converting = Lock()
        """Held while a frame is turned to RGB, which changes the frame meanwhile."""
        self._path, self._fps, self._offset, self._warn = Path(path), fps, offset, warn
        self._part = part
        self._given = self._pictures()

    def __next__(self) -> Timed:
        return next(self._given)

    def timed(self) -> Iterator[tuple[float, Callable[[], NDArray[np.uint8]]]]:
        """(time in s, function that gives the picture) of every frame, in place of the pictures themselves: those that
        nobody asks for are never converted to RGB. A function may be called later, in the order of time."""
        with open_media(self._path) as media:
            converter = Converter(self._path)
            for time, frame in self._timed(media):
                yield time, partial(converter.rgb, frame)

    def close(self) -> None:
        """Close the file, though not all pictures have been given."""
        self._given.close()

    def _pictures(self) -> Generator[Timed, None, None]:
        with open_media(self._path) as media:
            converter = Converter(self._path)
            try:
                for time, frame in self._wanted(self._shown(media, self._part[0] if self._part else 0.0)):
                    with self.converting:
                        picture = converter.rgb(frame)
                    yield time, picture
                return
            except DoubtError as doubt:
                log.debug("%s: decoding from its beginning, because of %s", self._path, doubt)
        with open_media(self._path) as media:
            for time, frame in self._wanted(self._timed(media)):
                yield time, converter.rgb(frame)

    def _wanted(self, frames: Iterator[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
        """Select from (time, frame) of all frames those to yield, at their times."""
        frames = frames if self._part is None else self._within(frames, *self._part)
        return frames if self._fps is None else self._on_grid(frames, self._fps)

    def _shown(self, media: Media, begin: float) -> Iterator[tuple[float, Any]]:
        """Like `_timed`, and passes every frame to `also`."""
        end = -1.0
        try:
            for time, frame in self._timed(media, begin):
                if self.also is not None:
                    self.also(time, frame)
                yield time, frame
            end = self.end
        finally:
            if self.also is not None:
                self.also(end, None)

    def _timed(self, media: Media, begin: float = 0.0) -> Iterator[tuple[float, Any]]:
        """(time, frame) of every frame; those before the one shown at `begin` s need not be decoded (`late_frames`)."""
        frames = late_frames(media, begin) if begin > 0 else media.frames(media.seen())
        ending = Ending(media)
        start: float | None = None
        time, count = -ending.step, 0
        for frame, stamp in believed((frame, time_of(frame)) for frame in frames):
            own = time + ending.step
            if stamp is not None:
                start = stamp - own if start is None else start
                own = stamp - start
            time = own if own > time else time + ending.step
            ending.add(time, frame)
            count += 1
            self.count, self.end, self.damaged = count, time + ending.step, media.damaged
            yield time, frame
        if not count:
            raise MediaError(f"{self._path} has no frame that can be decoded; it is empty or truncated")
        self.end, self.damaged = ending.end(start or 0.0), media.damaged
        missing = ending.missing(start or 0.0)
        if missing and self._warn:
            log.warning(
                "%s: frames end at %.1f s of %.1f s; the file is truncated",
                self._path,
                self.end,
                self.end + missing,
            )

    def _within(self, frames: Iterator[tuple[float, Any]], begin: float, end: float) -> Iterator[tuple[float, Any]]:
        """Frames of the part from `begin` to `end` s, on its own clock; the first one is that shown at `begin`."""
        held: Any = None
        count = 0
        for time, frame in frames:
            if time >= end - EARLY:
                break
            stop = min(self.end, end) - begin
            if time <= begin + EARLY:
                held = frame
                continue
            if held is not None:
                count += 1
                self.count, self.end = count, time - begin
                yield 0.0, held
                held = None
            count += 1
            self.count, self.end = count, stop
            yield time - begin, frame
        else:
            if self.end <= begin + EARLY:
                raise MediaError(f"{self._path} ends at {self.end:.2f} s, before the part that begins at {begin:.2f} s")
            end = min(self.end, end)
        self.count, self.end = count + (held is not None), end - begin
        if held is not None:
            yield 0.0, held

    def _on_grid(self, frames: Iterator[tuple[float, Any]], fps: Fraction) -> Iterator[tuple[float, Any]]:
        """(grid time, frame shown then); frames between two grid times are never converted to RGB."""
        k, shown, time = 0, None, 0.0
        for time, frame in frames:
            while shown is not None and (tick := self._offset + float(k / fps)) < time - EARLY:
                yield tick, shown
                k += 1
            shown = frame
        if k == 0 and self._offset >= self.end - EARLY:
            yield time, shown
        while (tick := self._offset + float(k / fps)) < self.end - EARLY:
            yield tick, shown
            k += 1


class StillPictures(Pictures):
    """One picture, shown again and again: `STILL_RATE` times a second, or at each time of a grid."""

    def __init__(
        self,
        path: Path,
        seconds: float,
        fps: Fraction | None = None,
        offset: float = 0.0,
        part: tuple[float, float] | None = None,
    ) -> None:
        """`seconds`: how long it is shown; the rest as of `Pictures`."""
        super().__init__(path, fps, offset, part=part)
        self._seconds = seconds

    def _pictures(self) -> Generator[Timed, None, None]:
        picture = read_still(self._path)
        yield from self._wanted((time, picture) for time in self._times())

    def _times(self) -> Iterator[float]:
        for number in range(max(1, math.ceil(self._seconds * STILL_RATE - EARLY))):
            self.count, self.end = number + 1, min((number + 1) / STILL_RATE, self._seconds)
            yield number / STILL_RATE
        self.end = self._seconds


def read_still(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) of a picture file as shown, turned as its EXIF data ask; what is transparent is black.

    Raises:
        MediaError: no whole picture.
    """
    try:
        turned = ImageOps.exif_transpose(open_image(path))
    except ValueError as error:
        raise MediaError(str(error)) from error
    return np.array(eight_bit(turned).convert("RGB"))


class Converter:
    """Frames as RGB arrays of one size; a frame that is shown twice is converted once."""

    def __init__(self, path: Path | str) -> None:
        """`path`: what messages call the video."""
        self._path = path
        self._frame: Any = None
        self._array: NDArray[np.uint8] | None = None
        self._size: tuple[int, int] | None = None
        self._orientation: Orientation | None = None

    def rgb(self, frame: Any) -> NDArray[np.uint8]:
        """(H, W, 3) as shown."""
        if self._array is None or frame is not self._frame:
            self._size = self._size or (frame.height, frame.width)
            # Asked of the first frame alone: a frame whose side data were looked at lives until garbage is collected.
            self._orientation = self._orientation or orientation_of(frame)
            try:
                self._array = self._orientation.apply(rgb_of(frame, self._size))
            except OSError as error:
                raise MediaError(
                    f"{self._path} has pictures ({frame.format.name}, matrix {int(frame.colorspace)} of ITU-T H.273) "
                    "that FFmpeg cannot convert to RGB; convert the video to a common matrix such as BT.709"
                ) from error
            self._frame = frame
        return self._array
