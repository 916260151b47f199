"""One process that segments one video after another, and keeps the last model loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from avseg.io.files import clear_stale
from avseg.jobs.child import Child
from avseg.jobs.errors import JobError
from avseg.jobs.limits import Limits
from avseg.jobs.order import JobProgress, Order

Told = Callable[[JobProgress], None]


class Worker:
    """Runs orders on one device; the process is started by the first one. Results are those of `avseg predict`."""

    def __init__(self, device: str = "auto") -> None:
        self.device = device
        self._child = Child("avseg.jobs.predicting:Predicting", device, doing="segments videos")

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return self._child.pid

    def run(
        self,
        order: Order,
        told: Told | None = None,
        stop: threading.Event | None = None,
        limits: Limits | None = None,
    ) -> Path:
        """The folder of the result, which is whole or absent; orders of several threads wait for each other.

        Args:
            order: what to make of which video.
            told: called with the progress, several times a second where there is some.
            stop: set it to stop the work, which takes less than a second.
            limits: also end the work on a video that turns out to be longer than its header says, and work that lasts
                too long.

        Raises:
            JobError: the video or the order is refused, in one sentence.
            JobStopped: `stop` was set.
            WorkerDied: the process ended by itself, in one sentence; the next order starts another one.
        """

        def tell(progress: JobProgress) -> None:
            if limits is not None:
                limits.check_seconds(order.video.name, progress.done)
            if told is not None:
                told(replace(progress, notes=tuple(_without_folders(note, order) for note in progress.notes)))

        try:
            found: Path = self._child.ask((order, limits), tell, stop, limits.work if limits else None)
            return found
        except JobError as error:
            raise JobError(_without_folders(str(error), order)) from error
        finally:
            clear_stale(order.out)

    def warm(self) -> None:
        """Start the process before the first order; the model is loaded by that."""
        self._child.warm()

    def end(self) -> None:
        """End the process at once, and free the memory of its model; the next order starts another one."""
        self._child.end()

    def close(self) -> None:
        """The same, for good."""
        self._child.close()


def _without_folders(sentence: str, order: Order) -> str:
    """The sentence with files called by their names: their folders are ours."""
    for path in (order.video, order.audio, order.out):
        if path is not None:
            sentence = sentence.replace(str(path.resolve()), path.name).replace(str(path), path.name)
    return sentence
