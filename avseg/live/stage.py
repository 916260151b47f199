"""The newest frames and seconds of sound, passed from the reading thread to the predicting one. There is no queue;
newer frames replace those that were not used in time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from avseg.live.ring import SoundRing

log = logging.getLogger(__name__)

FRESH = 32
"""Largest number of frames that wait for their sound."""
LATE = 1.0
"""Longest wait in s of a frame for late sound."""
LOOK_BACK, SHARE = 10.0, 0.9
"""Time in s over which the lag of the sound is measured, and the share of frames for which the delay suffices."""


@dataclass(eq=False)
class LivePicture:
    """A decoded picture."""

    time: float
    """s from the first picture of the stream."""
    frame: Any
    arrival: float
    """Arrival of its packet, in s of the monotonic clock."""
    sized: Tensor | None = None
    """(3, h, w) at the network's size, once computed."""
    heard: bool = False
    """Whether its sound has arrived."""


@dataclass(frozen=True)
class Memory:
    """The amount of data that a stage keeps."""

    ahead: float
    """Seconds of sound after a frame that the model uses."""
    spacing: float
    """Seconds between the frames of a block."""
    before: int
    """Number of earlier frames in a block."""


class Stage:
    """The exchange between the readers of a stream and the predicting loop; all methods are thread-safe.

    Sound may arrive in chunks, such as a third of a second at once in MPEG-TS. So every frame gets a steady delay after
    its arrival, within which nine of ten recent frames got their sound.
    """

    def __init__(self, memory: Memory, makes_ring: Callable[[str, int], tuple[SoundRing, ...]]) -> None:
        """
        Args:
            memory: how much is kept.
            makes_ring: of the name of an input and its channels: what its sound is written to, the model's first.
        """
        self.frames = 0
        """Number of frames decoded so far."""
        self.state = "connecting"
        """A few words for the page."""
        self.is_open = False
        """Whether the source is connected."""
        self.delay = 0.0
        """Delay of frames after their arrival in s."""
        self.stop = threading.Event()
        self.rings: tuple[SoundRing, ...] = ()
        self.awaits_sound = False
        """Whether an input has sound, even if none has arrived yet."""
        self._memory, self._makes_ring = memory, makes_ring
        self._changed = threading.Condition()
        self._fresh: deque[LivePicture] = deque(maxlen=FRESH)
        self._past: deque[LivePicture] = deque(maxlen=4 * memory.before + 1)
        self._waits: deque[tuple[float, float]] = deque(maxlen=1024)
        """Arrival of a frame's sound in s of the monotonic clock, and the frame's wait in s."""
        self._ended = False
        self._error: Exception | None = None

    def say(self, state: str, *, is_open: bool = False) -> None:
        """Report the state of the stream to the user."""
        self.state, self.is_open = state, is_open
        log.log(logging.INFO if is_open else logging.WARNING, "%s", state)

    def hear(self, name: str, channels: int) -> None:
        """Allocate the buffer for sound with some channels, if there is none yet.

        Raises:
            MediaError: mono sound, and a model that hears left and right.
        """
        with self._changed:
            self.rings = self.rings or self._makes_ring(name, channels)
            self.awaits_sound = True

    def show(self, picture: LivePicture) -> None:
        """Add the newest frame."""
        with self._changed:
            self.frames += 1
            if self._fresh and picture.time <= self._fresh[-1].time:
                return  # a stamp that goes back; the clock of packets passes on small ones
            now = time.monotonic()
            while len(self._fresh) > 1 and self._is_due(self._fresh[1], now):
                self._fresh.popleft()
            # Pictures that wait long lie further apart, so that FRESH of them reach back far enough.
            if not self._fresh or picture.time - self._fresh[-1].time >= (self._memory.ahead + self.delay) / (
                FRESH - 8
            ):
                self._fresh.append(picture)
                self._mark_heard(now)
            if self._memory.before and (
                not self._past or picture.time - self._past[-1].time >= self._memory.spacing / 4
            ):
                self._past.append(picture)
            self._changed.notify_all()

    def sound(self, frame: Any, at: float) -> None:
        """Add a decoded frame of sound that begins at `at` s."""
        for ring in self.rings:
            ring.add(frame, at)
        with self._changed:
            self._mark_heard(time.monotonic())
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        """Mark the end of the input."""
        with self._changed:
            self._ended, self._error = True, self._error or error
            self._changed.notify_all()

    def newest(self, until: float | None = None) -> LivePicture | None:
        """Wait for the newest frame with its sound and drop it and all earlier ones; None at the end of the stream.

        Args:
            until: s of the monotonic clock, when waiting ends as if the stream had.

        Raises:
            Exception: what ended a reader.
        """
        with self._changed:
            while True:
                now = time.monotonic()
                found, wait = self._take(now)
                if found is not None:
                    return found
                is_over = self._ended and not self._fresh
                if is_over or self.stop.is_set() or (until is not None and now >= until):
                    if self._error is not None:
                        raise self._error
                    return None
                self._changed.wait(wait)

    def before(self, picture: LivePicture) -> list[LivePicture]:
        """Return the frame and earlier ones at the model's spacing, in order; the first frame is repeated if needed."""
        with self._changed:
            past = [one for one in self._past if one.time < picture.time] or [picture]
        wanted = [picture.time - number * self._memory.spacing for number in range(self._memory.before, 0, -1)]
        return [*(min(past, key=lambda one: abs(one.time - at)) for at in wanted), picture]

    def _take(self, now: float) -> tuple[LivePicture | None, float]:
        """Return the newest frame that is due, or None and the time in s until one may be."""
        wait = 0.1
        for picture in reversed(self._fresh):
            if self._is_due(picture, now):
                while self._fresh.popleft() is not picture:
                    pass
                return picture, 0.0
            wait = min(wait, max(picture.arrival + self.delay - now, 0.001)) if picture.heard else wait
        return None, wait

    def _mark_heard(self, now: float) -> None:
        """Record which frames have their sound now, and their waits."""
        for picture in self._fresh:
            if not picture.heard and self.rings and self.rings[0].end >= picture.time + self._memory.ahead:
                picture.heard = True
                self._waits.append((now, now - picture.arrival))
        while self._waits and now - self._waits[0][0] > LOOK_BACK:
            self._waits.popleft()
        waits = sorted(wait for _, wait in self._waits)
        longest = waits[int(SHARE * len(waits))] if waits else 0.0
        self.delay = min(longest, max(self._memory.ahead, 0.0) + LATE)

    def _is_due(self, picture: LivePicture, now: float) -> bool:
        """Whether a frame has its sound and its delay is over, or its longest wait is over."""
        if not self.awaits_sound:
            return True
        if picture.heard or self._ended:
            return now >= picture.arrival + self.delay
        return now - picture.arrival > max(self._memory.ahead, 0.0) + LATE
