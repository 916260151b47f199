"""Distribution of videos to processes: repeated attempts, and the runner for this machine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from avseg.batch.outcome import Outcome
from avseg.batch.plan import BatchPlan
from avseg.batch.videos import BatchVideo
from avseg.io.address import clean
from avseg.jobs.child import Child
from avseg.jobs.errors import JobError, JobStopped, WorkerDied

Question = TypeVar("Question", contravariant=True)
Answer = TypeVar("Answer", covariant=True)
Wanted = tuple[BatchVideo, bool]
"""A video, and whether to replace its existing result."""
PAUSES = (0.0, 1.0, 4.0, 15.0)
"""Pauses in s before further attempts, for example to let a network recover."""


class VideoRunner(Protocol):
    """A runner that has videos segmented."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Return `Predicting.describe` of the model on the machine that runs it."""

    def run(self, wanted: Sequence[Wanted]) -> Iterator[Outcome]:
        """Yield the outcome of each video when it ends."""

    def close(self) -> None:
        """End all processes at once."""


class Tries:
    """A process that segments one video after another, with several attempts for each.

    Args:
        plan: for all videos.
        place: number of the process on its machine, from 0.
    """

    def __init__(self, plan: BatchPlan, place: int = 0) -> None:
        self._plan = plan
        self._child = Child("avseg.batch.segmenting:Segmenting", plan, place, doing="segments videos")
        self.stop = threading.Event()

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return self._child.pid

    def describe(self) -> dict[str, Any]:
        """Return the description of the model from the process.

        Raises:
            ValueError: the model or an option is refused, in one sentence.
            RuntimeError: the process ended by itself.
        """
        found: dict[str, Any] = self._child.ask(None, stop=self.stop)
        return found

    def run(self, wanted: Wanted) -> Outcome:
        """Return the outcome of a video.

        Raises:
            JobStopped: `stop` was set.
        """
        for number in range(1, self._plan.tries + 1):
            outcome = replace(self._tried(wanted), tries=number)
            if outcome.status != "failed" or number == self._plan.tries:
                break
            if self.stop.wait(PAUSES[min(number, len(PAUSES)) - 1]):
                raise JobStopped("the work was stopped between two attempts")
        return outcome

    def _tried(self, wanted: Wanted) -> Outcome:
        begun = _now()
        try:
            outcome: Outcome = self._child.ask(wanted, stop=self.stop, seconds=self._plan.patience)
        except (JobError, WorkerDied) as error:
            return Outcome(wanted[0].id, "failed", clean(str(error)), begun=begun, ended=_now())
        return outcome

    def close(self) -> None:
        """End the process."""
        self.stop.set()
        self._child.close()


class Process(Protocol[Question, Answer]):
    """A process that answers one question after another."""

    stop: threading.Event

    def run(self, wanted: Question) -> Answer:
        """
        Raises:
            JobStopped: `stop` was set.
        """

    def close(self) -> None:
        """End it."""


def in_processes(
    processes: Sequence[Process[Question, Answer]], wanted: Sequence[Question]
) -> Generator[Answer, None, None]:
    """Yield answers of all processes as they arrive; closing the generator early stops them."""
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
    for one in wanted:
        waiting.put(one)
    told: queue.SimpleQueue[tuple[Answer] | BaseException | None] = queue.SimpleQueue()
    used = processes[: max(len(wanted), 1)]
    threads = [threading.Thread(target=_work, args=(one, waiting, told), daemon=True) for one in used]
    for thread in threads:
        thread.start()
    try:
        ended = 0
        while ended < len(threads):
            found = told.get()
            if isinstance(found, tuple):
                yield found[0]
            elif found is not None:
                raise found
            else:
                ended += 1
    finally:
        for process in processes:
            process.stop.set()
        for thread in threads:
            thread.join()  # before what they listen to is closed
        for process in processes:
            process.close()


def _work(
    process: Process[Question, Answer],
    waiting: queue.SimpleQueue[Question],
    told: queue.SimpleQueue[tuple[Answer] | BaseException | None],
) -> None:
    """Answer questions from the queue until it is empty."""
    try:
        while not process.stop.is_set():
            told.put((process.run(waiting.get_nowait()),))
    except (queue.Empty, JobStopped):
        pass
    except BaseException as error:  # noqa: BLE001  raised where the answers are read
        told.put(error)
    finally:
        told.put(None)


class LocalRunner:
    """Local processes, each with one video at a time; each process loads the model once.

    Args:
        plan: for all videos.
        jobs: number of processes.
        name: in the manifest.
    """

    def __init__(self, plan: BatchPlan, jobs: int = 1, name: str = "local") -> None:
        if jobs < 1:
            raise ValueError(f"jobs is {jobs}, wanted 1 process or more")
        self.name = name
        self.processes = [Tries(plan, place) for place in range(jobs)]

    def describe(self) -> dict[str, Any]:
        """See `VideoRunner`."""
        return self.processes[0].describe()

    def run(self, wanted: Sequence[Wanted]) -> Iterator[Outcome]:
        """See `VideoRunner`; leaving it early ends the processes."""
        return in_processes(self.processes, wanted)

    def close(self) -> None:
        """See `VideoRunner`."""
        for one in self.processes:
            one.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
