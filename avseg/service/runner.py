"""Threads that pass jobs to a worker, one after another; a worker for several jobs at once has several threads."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from avseg.jobs.errors import JobError, JobStopped, WorkerDied, sentence_of
from avseg.jobs.order import JobProgress
from avseg.jobs.worker import Worker
from avseg.service.store import Job, State

if TYPE_CHECKING:
    from avseg.service.service import Service

log = logging.getLogger(__name__)

MOST_DEATHS = 2
"""Number of crashes during one job alone after which the job has failed."""
IDLE = 0.5
"""Interval in s between checks of the queue without a wake-up."""
AGAIN = 2.0
"""Interval in s before a failed write, for example on a full disk, is repeated."""


class Runner(threading.Thread):
    """Takes jobs from the queue of a service for one worker."""

    def __init__(self, service: Service, worker: Worker) -> None:
        super().__init__(name=f"runner {worker.device}", daemon=True)
        self.wake = threading.Event()
        self.current: str | None = None
        """The id of the current job."""
        self.progress: JobProgress | None = None
        self._service, self.worker = service, worker
        self._process: int | None = None
        self._over = threading.Event()
        self._wish = threading.Event()

    def run(self) -> None:
        """Run jobs until `close`."""
        with suppress(OSError):  # the first job tells why
            self.worker.warm()
        while not self._over.is_set():
            try:
                self._next()
            except Exception as error:  # a disk may be full for a while; the jobs behind this one must not suffer
                log.error("the runner of %s continues after an error", self.worker.device, exc_info=error)
                self._over.wait(AGAIN)

    def _next(self) -> None:
        job = self._service.store.take()
        if job is None:
            self.wake.wait(IDLE)
            self.wake.clear()
            return
        self._wish.clear()
        self.current, self.progress = job.id, JobProgress("loading")
        try:
            self._make(job)
        finally:
            self.current = self.progress = None

    def stop(self, job: str) -> None:
        """Stop the work on a job if this runner has it."""
        if self.current == job:
            self._wish.set()

    def close(self) -> None:
        """Stop the work and end; the job goes back to the queue."""
        self._over.set()
        self._wish.set()
        self.wake.set()

    def _make(self, job: Job) -> None:
        if self._over.is_set():
            self._service.store.again(job.id)
            return
        service = self._service
        try:
            alone = job.id in service.suspects
            self.worker.run(service.order(job), self._told, self._wish, service.settings.limits, alone)
        except JobError as error:
            self._end(job, "failed", str(error))
        except JobStopped:  # it waits again where the service ends, or where its process was ended for another job
            self._again(job)
        except WorkerDied as error:
            self._died(job, error)
        except Exception as error:  # the next job must not suffer
            log.error("job %s", job.id, exc_info=error)
            self._end(job, "failed", sentence_of(error))
        else:
            self._end(job, "done")

    def _told(self, progress: JobProgress) -> None:
        self.progress = progress
        if self._process != self.worker.pid:
            self._process = self.worker.pid
            log.info("process %s works on %s", self._process, self.worker.device)
        if self._service.store.was_cancelled(self.current or ""):
            self._wish.set()

    def _died(self, job: Job, death: WorkerDied) -> None:
        if death.first:
            self._service.metrics.worker_died()
        log.warning("job %s: %s", job.id, death)
        if death.shared:
            self._service.suspects.add(job.id)
            self._again(job)
        elif job.deaths + 1 >= MOST_DEATHS:
            self._end(job, "failed", f"{death}, in each of {MOST_DEATHS} attempts")
        else:
            self._again(job, died=True)

    def _again(self, job: Job, *, died: bool = False) -> None:
        if not self._written(lambda: self._service.store.again(job.id, died=died)):
            self._service.clear(job, results=True)  # cancelled meanwhile

    def _end(self, job: Job, state: State, fault: str = "") -> None:
        notes = self.progress.notes if self.progress else ()
        if self._written(lambda: self._service.store.end(job.id, state, fault, notes)):
            self._service.metrics.ended(state, job)
            self._service.clear(job, results=state != "done")
        else:
            self._service.clear(job, results=True)  # cancelled meanwhile

    def _written(self, change: Callable[[], bool]) -> bool:
        """Write a change to the table, with repeated attempts until it succeeds or the service ends."""
        while True:
            try:
                return change()
            except sqlite3.Error as error:
                log.error("the table of jobs cannot be written (%s); trying again", error)
                if self._over.wait(AGAIN):
                    raise
