"""One decoding for two readers of a video: the first reader decodes it, and the second one reuses its pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from threading import Condition, Event
from typing import Any

from avseg.io.media import VideoInfo
from avseg.io.pictures import Converter, Pictures, Timed
from avseg.io.video import iter_frames

ROOM = 2**27
"""Bytes of decoded frames that wait for the second reader."""
LOOK = 0.1
"""s between two looks whether anybody still wants the pictures."""


class SharedPictures(Iterator[Timed]):
    """All pictures of a video, as `iter_frames` gives them, whose frames another iterator decodes.

    Frames wait as they were decoded, `room` bytes of them. From where there are more, or where the other iterator is
    left, this one decodes on its own.
    """

    def __init__(self, info: VideoInfo, source: Pictures, stopped: Event | None = None, room: int = ROOM) -> None:
        """
        Args:
            info: of the video, of which all is used.
            source: of the same video. Nothing of it has been asked for yet; another thread reads it.
            stopped: set when nobody wants the pictures any more.
            room: bytes.
        """
        self.end = 0.0
        """s, the end of the last picture; final once all have been given."""
        self._info, self._source, self._room = info, source, room
        self._stopped = stopped or Event()
        self._changed = Condition()
        self._frames: deque[tuple[float, Any, int]] = deque()
        self._held = 0
        self._is_alone = self._is_over = self._is_closed = False
        source.also = self._offer
        self._given = self._pictures()

    def __next__(self) -> Timed:
        return next(self._given)

    def close(self) -> None:
        """Forget the frames that wait and those that come; whoever waits for a picture gets none."""
        with self._changed:
            self._is_closed = True
            self._frames.clear()
            self._changed.notify_all()

    def _offer(self, time: float, frame: Any | None) -> None:
        """A frame that was decoded. None: it was the last one, which ends at `time`, or the other reader was left."""
        with self._changed:
            if frame is None:
                self._is_over, self.end = True, time
                self._is_alone = self._is_alone or time < 0
            elif not self._is_alone and not self._is_closed:
                size = sum(plane.buffer_size for plane in frame.planes)
                self._is_alone = self._held + size > self._room
                if not self._is_alone:
                    self._frames.append((time, frame, size))
                    self._held += size
            self._changed.notify_all()

    def _pictures(self) -> Iterator[Timed]:
        converter, last = Converter(self._info.path), -1.0
        while (taken := self._next()) is not None:
            last, frame = taken
            with self._source.converting:
                picture = converter.rgb(frame)
            del taken, frame
            yield last, picture
        if not self._is_alone or self._is_closed or self._stopped.is_set():
            return
        own = iter_frames(self._info, warn=False)
        with closing(own):
            yield from ((time, picture) for time, picture in own if time > last)
        self.end = own.end

    def _next(self) -> tuple[float, Any] | None:
        with self._changed:
            while not (self._frames or self._is_alone or self._is_over or self._is_closed):
                self._changed.wait(LOOK)
                if self._stopped.is_set():
                    return None
            if not self._frames:
                return None
            time, frame, size = self._frames.popleft()
            self._held -= size
            return time, frame
