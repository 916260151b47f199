"""The clock of a stream: seconds from its first picture, for picture and sound alike, across new connections."""

from __future__ import annotations

import threading

BARE = 12
"""Pictures without a stamp that are passed over in the hope of one with it; after them the source is taken to give
none."""


class Timeline:
    """Turns stamps of a connection into times of the stream by one shift for all its streams.

    Within a connection the source's own stamps count. What was missed between two connections is measured by the
    machine's clock, since the stamps of the second one may begin anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shift: float | None = None
        self._bare = 0
        """Pictures without a stamp since the connection began."""
        self._last: tuple[float, float] | None = None
        """Time of the last picture in s, and when it arrived, in s of the monotonic clock."""

    @property
    def shift(self) -> float | None:
        """s from stamps to times; None until the first picture of a connection."""
        return self._shift

    def restart(self) -> None:
        """A new connection, whose stamps may begin anew."""
        with self._lock:
            self._shift, self._bare = None, 0

    def of_picture(self, stamp: float | None, arrival: float, step: float) -> float | None:
        """s, the time of a picture; None: it bears no stamp, and the next ones may, as in RTSP.

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
