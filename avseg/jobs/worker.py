"""A process that segments videos and keeps the last model loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from avseg.engines.records import FAST, Choice
from avseg.io.files import clear_stale
from avseg.jobs.child import Child
from avseg.jobs.errors import JobError
from avseg.jobs.limits import Limits
from avseg.jobs.order import JobProgress, Order
from avseg.jobs.room import Merged, Room, Shares

Told = Callable[[JobProgress], None]


class Worker:
    """Runs orders on one device; the first order starts the process. Results equal those of `avseg predict`."""

    def __init__(
        self,
        device: str = "auto",
        choice: Choice = FAST,
        together: int = 1,
        merged: Callable[[int], object] = lambda orders: None,
    ) -> None:
        """
        Args:
            device: see `avseg.inference.Segmenter`.
            choice: engine and precision.
            together: orders of one model that are worked on at once, where PyTorch runs it and it is dense and predicts
                every group of frames by itself; other orders wait. Steps of several orders then go through the network
                in one batch, and labels may differ from those of `avseg predict` in single pixels.
            merged: called for each such batch with how many orders it is of.
        """
        self.device = device
        address, doing = "avseg.jobs.predicting:Predicting", "segments videos"
        self._child = Child(address, device, choice, together, doing=doing, places=together)
        self._room, self._merged = Room(together), merged

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        return self._child.pid

    def run(
        self,
        order: Order,
        told: Told | None = None,
        stop: threading.Event | None = None,
        limits: Limits | None = None,
        alone: bool = False,
    ) -> Path:
        """Run an order and return its folder, which is complete or absent; orders that cannot share a process wait.

        Args:
            order: what to make of which video.
            told: called with the progress, several times a second where there is some.
            stop: set it to stop the work, which takes less than a second.
            limits: also end the work on a video that turns out to be longer than its header says, and work that lasts
                too long.
            alone: let no other order be in the process.

        Raises:
            JobError: the video or the order is refused, in one sentence.
            JobStopped: `stop` was set; or the process was ended on account of another order, and this one has to begin
                again.
            WorkerDied: the process ended by itself, in one sentence; the next order starts another one.
        """

        def tell(news: JobProgress | Shares | Merged) -> None:
            if isinstance(news, Shares):
                self._room.share()
                return
            if isinstance(news, Merged):
                self._merged(news.orders)
                return
            if limits is not None:
                limits.check_seconds(order.video.name, news.done)
            if told is not None:
                told(replace(news, notes=tuple(_without_folders(note, order) for note in news.notes)))

        kind = None if alone else (order.model, tuple(sorted(order.choices.items())))
        try:
            with self._room.turn(kind, stop):
                found: Path = self._child.ask((order, limits), tell, stop, limits.work if limits else None)
            return found
        except JobError as error:
            raise JobError(_without_folders(str(error), order)) from error
        finally:
            clear_stale(order.out)

    def warm(self) -> None:
        """Start the process before the first order, which loads the model."""
        self._child.warm()

    def end(self) -> None:
        """End the process at once, and free the memory of its model; the next order starts another one."""
        self._child.end()

    def close(self) -> None:
        """End the process for good."""
        self._child.close()


def _without_folders(sentence: str, order: Order) -> str:
    """Return a message with the names of files instead of their internal paths."""
    for path in (order.video, order.audio, order.out):
        if path is not None:
            sentence = sentence.replace(str(path.resolve()), path.name).replace(str(path), path.name)
    return sentence
