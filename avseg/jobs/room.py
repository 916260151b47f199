"""Admission of orders: which of them may run at the same time, in the order of arrival."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from avseg.jobs.errors import JobStopped

LOOK = 0.05
"""s between two looks for a wish to stop."""


@dataclass(frozen=True)
class Shares:
    """Message of a process: the model of its order can serve other orders at the same time."""


@dataclass(frozen=True)
class Merged:
    """Message of a process about one shared batch."""

    orders: int
    """Number of orders in the batch."""


class Room:
    """Admits orders one after another; several of one kind run at once if the first of them allows it."""

    def __init__(self, places: int) -> None:
        """`places`: orders that may be in at once."""
        self._places = places
        self._change = threading.Condition()
        self._queue: deque[object] = deque()
        self._inside = 0
        self._kind: Hashable = None
        self._shared = False

    @contextmanager
    def turn(self, kind: Hashable, stop: threading.Event | None = None) -> Iterator[None]:
        """Wait for admission, which lasts for the block.

        Args:
            kind: orders of one kind may be in together; None: nobody else may be.
            stop: where it is set, the wait ends.

        Raises:
            JobStopped: `stop` was set while the order waited.
        """
        ticket = object()
        with self._change:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or not self._may_enter(kind):
                    if stop is not None and stop.is_set():
                        raise JobStopped("the order was cancelled while it waited for others")
                    self._change.wait(LOOK)
                self._inside, self._kind = self._inside + 1, kind
            finally:
                self._queue.remove(ticket)
                self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._inside -= 1
                self._shared = self._shared and self._inside > 0
                self._change.notify_all()

    def share(self) -> None:
        """Admit other orders of the current kind."""
        with self._change:
            self._shared = True
            self._change.notify_all()

    def _may_enter(self, kind: Hashable) -> bool:
        if not self._inside:
            return True
        return self._shared and kind is not None and kind == self._kind and self._inside < self._places
