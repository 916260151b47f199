"""The clock of a stream: seconds from its first frame, for picture and sound, across reconnections."""

from __future__ import annotations

import threading

BARE = 12
"""Frames without a timestamp to skip while waiting for one with a timestamp; after them the source counts as one
without timestamps.
"""


class Timeline:
    """Converts timestamps of a connection to times of the stream, with one shift for picture and sound.

    Within a connection the source's timestamps are used. The gap between two connections is measured with the machine's
    clock, because the timestamps of the second one may restart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shift: float | None = None
        self._bare = 0
        """Number of frames without a timestamp since the start of the connection."""
        self._last: tuple[float, float] | None = None
        """Time of the last frame in s, and its arrival in s of the monotonic clock."""

    @property
    def shift(self) -> float | None:
        """Shift from timestamps to times in s; None until the first frame of a connection."""
        return self._shift

    def restart(self) -> None:
        """Start a new connection, whose timestamps may restart."""
        with self._lock:
            self._shift, self._bare = None, 0

    def of_picture(self, stamp: float | None, arrival: float, step: float) -> float | None:
        """Return the time of a frame in s; None if it has no timestamp but later frames may, as in RTSP.

        Args:
            stamp: s on the connection's clock; None: a step after the picture before.
            arrival: s of the monotonic clock.
            step: s between two pictures.
        """
        with self._lock:
            if stamp is None and self._shift is None and self._bare < BARE:
                self._bare += 1
                return None
            if stamp is None:
                stamp = 0.0 if self._shift is None or self._last is None else self._last[0] + step - self._shift
            if self._shift is None:
                begin = 0.0 if self._last is None else self._last[0] + max(arrival - self._last[1], step)
                self._shift = begin - stamp
            time = stamp + self._shift
            if self._last is None or time > self._last[0]:
                self._last = time, arrival
            return time
