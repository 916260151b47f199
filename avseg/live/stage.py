"""What was read last: a few pictures and some seconds of sound, handed from the thread that reads to the one that
predicts. Nothing is queued; a picture that nobody took in time makes room for newer ones."""

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
"""Pictures that wait for the sound that goes with them."""
LATE = 1.0
"""s that a picture waits for sound that should have come."""
LOOK_BACK, SHARE = 10.0, 0.9
"""s over which it is measured how much later than pictures their sound comes; and the share of pictures that the delay
is long enough for."""


@dataclass(eq=False)
class LivePicture:
    """A decoded picture."""

    time: float
    """s from the first picture of the stream."""
    frame: Any
    arrival: float
    """s of the machine's monotonic clock, when its packet was read."""
    sized: Tensor | None = None
    """(3, h, w) as the network sees it, once that was made."""
    heard: bool = False
    """Whether the sound that goes with it is there."""


@dataclass(frozen=True)
class Memory:
    """How much a stage keeps."""

    ahead: float
    """s of sound after a picture that the model hears with it."""
    spacing: float
    """s between the pictures that the model sees together."""
    before: int
    """How many earlier pictures it sees."""


class Stage:
    """Shared by the readers of a stream and the loop that predicts; every method may be called by any thread.

    Sound may come in lumps, such as a third of a second at once in MPEG-TS. So every picture is given a steady delay
    after its arrival, in which nine of ten pictures of the last seconds got their sound.
    """

    def __init__(self, memory: Memory, makes_ring: Callable[[str, int], tuple[SoundRing, ...]]) -> None:
        """
        Args:
            memory: how much is kept.
            makes_ring: of the name of an input and its channels: what its sound is written to, the model's first.
        """
        self.frames = 0
        """Pictures decoded so far."""
        self.state = "connecting"
        """A few words for the page."""
        self.is_open = False
        """Whether the source is connected."""
        self.delay = 0.0
        """s that pictures are held back after their arrival."""
        self.stop = threading.Event()
        self.rings: tuple[SoundRing, ...] = ()
        self.awaits_sound = False
        """Whether an input gives sound, of which nothing may have come yet."""
        self._memory, self._makes_ring = memory, makes_ring
        self._changed = threading.Condition()
        self._fresh: deque[LivePicture] = deque(maxlen=FRESH)
        self._past: deque[LivePicture] = deque(maxlen=4 * memory.before + 1)
        self._waits: deque[tuple[float, float]] = deque(maxlen=1024)
        """When the sound of a picture came, in s of the monotonic clock, and how long the picture had waited in s."""
        self._ended = False
        self._error: Exception | None = None

    def say(self, state: str, *, is_open: bool = False) -> None:
        """Tell a person how the stream stands."""
        self.state, self.is_open = state, is_open
        log.log(logging.INFO if is_open else logging.WARNING, "%s", state)

    def hear(self, name: str, channels: int) -> None:
        """Make room for sound of so many channels, unless there is.

        Raises:
            MediaError: mono sound, and a model that hears left and right.
        """
        with self._changed:
            self.rings = self.rings or self._makes_ring(name, channels)
            self.awaits_sound = True

    def show(self, picture: LivePicture) -> None:
        """The newest picture."""
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
        """A decoded frame of sound that begins at `at` s."""
        for ring in self.rings:
            ring.add(frame, at)
        with self._changed:
            self._mark_heard(time.monotonic())
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes."""
        with self._changed:
            self._ended, self._error = True, self._error or error
            self._changed.notify_all()

    def newest(self, until: float | None = None) -> LivePicture | None:
        """Wait for the newest picture whose sound is there, and forget it and all before; None: the stream has ended.

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
        """The picture and those before it at the spacing of the model, in order; the first one again where there is
        none before it."""
        with self._changed:
            past = [one for one in self._past if one.time < picture.time] or [picture]
        wanted = [picture.time - number * self._memory.spacing for number in range(self._memory.before, 0, -1)]
        return [*(min(past, key=lambda one: abs(one.time - at)) for at in wanted), picture]

    def _take(self, now: float) -> tuple[LivePicture | None, float]:
        """The newest picture that is due; or None, and in how many s one may be."""
        wait = 0.1
        for picture in reversed(self._fresh):
            if self._is_due(picture, now):
                while self._fresh.popleft() is not picture:
                    pass
                return picture, 0.0
            wait = min(wait, max(picture.arrival + self.delay - now, 0.001)) if picture.heard else wait
        return None, wait

    def _mark_heard(self, now: float) -> None:
        """Note which pictures have their sound now, and how long they waited."""
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
        """Whether the sound that goes with a picture is there and its delay over, or whether it waited long enough."""
        if not self.awaits_sound:
            return True
        if picture.heard or self._ended:
            return now >= picture.arrival + self.delay
        return now - picture.arrival > max(self._memory.ahead, 0.0) + LATE
