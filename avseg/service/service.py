"""The service without HTTP: accepts jobs, runs them, keeps results for a while."""

from __future__ import annotations

import logging
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from avseg.jobs.checker import Checker
from avseg.jobs.order import JobProgress, Order
from avseg.jobs.worker import Worker
from avseg.service.lock import folder_lock
from avseg.service.metrics import Metrics
from avseg.service.refusal import CLOSE, Refusal
from avseg.service.runner import Runner
from avseg.service.settings import Settings
from avseg.service.store import Job, Store

log = logging.getLogger(__name__)

INPUT, SOUND, OUT = "video", "sound", "out"
"""Folders in the folder of a job."""
GONE = "there is no job with this id; the id is wrong, or its result has expired"
RETRY_AFTER = "10"
"""Time in s after which a client may try again if the queue is full."""


class Service:
    """A queue in a folder, with a worker and its runners for each device. Call `start` before use and `close` at
    the end.
    """

    def __init__(self, settings: Settings) -> None:
        """
        Raises:
            ValueError: another service works in the folder.
            OSError: the folder cannot be written to.
        """
        self.settings = settings
        self.jobs, self.uploads = Path(settings.folder) / "jobs", Path(settings.folder) / "uploads"
        for folder in (self.jobs, self.uploads):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = folder_lock(Path(settings.folder))
        self.store = Store(Path(settings.folder) / "jobs.sqlite")
        self.metrics = Metrics(self.store.counts)
        self.checker = Checker(settings.limits)
        self._arriving = 0
        self._counting = threading.Lock()
        self._over = threading.Event()
        self.suspects: set[str] = set()
        """Jobs that shared a process when it crashed; each of them runs alone from then on."""
        taken = settings.choice, settings.batch, self.metrics.merged
        self._workers = [Worker(device, *taken) for device in settings.devices]
        self._runners = [Runner(self, worker) for worker in self._workers for _ in range(settings.batch)]
        self._due: dict[str, float] = {}
        """When the result of each job expires, by `time.monotonic`."""
        self._keeper = threading.Thread(target=self._keep_house, name="keeper", daemon=True)

    def start(self) -> None:
        """Start, and continue the queue of an earlier process."""
        waiting = self.store.recover()
        if waiting:
            log.info("%d interrupted jobs start again", waiting)
        for folder in self.jobs.iterdir():
            job = self.store.find(folder.name)
            if job is None:
                shutil.rmtree(folder, ignore_errors=True)  # its upload had not ended
            elif not job.is_open:
                self.clear(job, results=job.state != "done")
        for left in self.uploads.iterdir():  # of processes that were killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        self.checker.warm()
        for runner in self._runners:
            runner.start()
        self._keeper.start()

    def close(self) -> None:
        """Stop; running jobs go back to the queue for the next process."""
        self._over.set()
        for runner in self._runners:
            runner.close()
        for runner in self._runners:
            if runner.is_alive():
                runner.join()
        for worker in self._workers:
            worker.close()
        self.checker.close()
        self.store.close()
        self._lock.close()

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Yield a folder for the files of a new job; it is removed afterwards unless the job was created.

        Raises:
            Refusal: 429, so many jobs wait, run and come in as there may be.
        """
        with self._counting:
            counts = self.store.counts()
            if counts["queued"] + counts["running"] + self._arriving >= self.settings.queue:
                self.metrics.refused("queue full")
                text = f"the queue is full with {self.settings.queue} jobs; try again later"
                raise Refusal(429, text, {"Retry-After": RETRY_AFTER, **CLOSE})
            self._arriving += 1
        folder = self.jobs / secrets.token_urlsafe(16)
        try:
            folder.mkdir()
            yield folder
        finally:
            with self._counting:
                self._arriving -= 1
            if self.store.find(folder.name) is None:
                shutil.rmtree(folder, ignore_errors=True)

    def submit(self, folder: Path, order: Order, owner: str, token: str | None = None) -> Job:
        """Create a job from an order whose files are in a folder of `arriving`.

        Raises:
            Refusal: 422, an order or a file that cannot be taken.
        """
        try:
            order.check()
            self.checker.check(order.video)
            if order.audio is not None:
                self.checker.check(order.audio, sound=True)
        except ValueError as error:
            raise Refusal(422, str(error)) from error
        names = {"video": order.video.name, "audio": order.audio.name if order.audio else None, "out": OUT}
        job = self.store.add(folder.name, owner, {**order.to_dict(), **names}, token)
        for runner in self._runners:
            runner.wake.set()
        return job

    def order(self, job: Job) -> Order:
        """Return the order of a job with absolute paths."""
        order, folder = Order.from_dict(job.wanted), self.folder(job)
        audio = None if order.audio is None else folder / SOUND / order.audio
        model = self.settings.named.get(order.model, order.model)
        return replace(order, model=model, video=folder / INPUT / order.video, out=folder / OUT, audio=audio)

    def folder(self, job: Job) -> Path:
        """Return the folder of a job's files."""
        return self.jobs / job.id

    def find(self, job: str, owner: str) -> Job:
        """
        Raises:
            Refusal: 404, there is none of that id, or it is of somebody else.
        """
        found = self.store.find(job)
        if found is None or found.owner != owner:
            raise Refusal(404, GONE)
        return found

    def progress(self, job: Job) -> JobProgress | None:
        """Return the progress of a running job."""
        return next((runner.progress for runner in self._runners if runner.current == job.id), None)

    def cancel(self, job: Job) -> Job:
        """Stop a queued or running job; returns its new state after at most two seconds."""
        if self.store.cancel(job.id):
            self.metrics.ended("cancelled")
            for runner in self._runners:
                runner.stop(job.id)
            until = time.monotonic() + 2
            while any(runner.current == job.id for runner in self._runners) and time.monotonic() < until:
                time.sleep(0.02)
            self.clear(job, results=True)
        return self.store.find(job.id) or job

    def remove(self, job: Job) -> None:
        """Remove an ended job and its result."""
        if self.store.forget(job.id):
            shutil.rmtree(self.folder(job), ignore_errors=True)

    def clear(self, job: Job, *, results: bool = False) -> None:
        """Remove the uploaded files of an ended job."""
        self.suspects.discard(job.id)
        for name in (INPUT, SOUND, *([OUT] if results else [])):
            shutil.rmtree(self.folder(job) / name, ignore_errors=True)

    def _keep_house(self) -> None:
        while not self._over.wait(min(60.0, self.settings.keep / 4)):
            try:
                self.sweep()
            except sqlite3.Error as error:
                log.error("expired results cannot be removed yet: %s", error)

    def sweep(self) -> None:
        """Remove expired results; changes of the system clock have no effect."""
        now, keep, ended = time.monotonic(), self.settings.keep, self.store.ended()
        known = self._due
        self._due = {
            job: known.get(job, now + keep - min(max(time.time() - moment, 0.0), keep)) for job, moment in ended.items()
        }
        for job, due in self._due.items():
            if due <= now and self.store.forget(job):
                shutil.rmtree(self.jobs / job, ignore_errors=True)
