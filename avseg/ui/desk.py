"""The logic of the page without its layout: the queue, the work, and the files of each visitor."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from avseg.io.files import remove
from avseg.jobs import Checker, JobError, JobProgress, JobStopped, Limits, Order, Worker

LOOK = 0.2
"""Interval in s between checks for a stop request, and between progress reports."""

STALLED = 120.0
"""Time in s without new bytes after which an upload counts as interrupted."""


@dataclass(frozen=True)
class Waiting:
    """Message: the video waits in the queue."""

    ahead: int
    """Number of videos before it."""


@dataclass(frozen=True)
class Finished:
    """Message: the result is ready."""

    folder: Path
    notes: tuple[str, ...] = ()


Moment: TypeAlias = Waiting | JobProgress | Finished


@dataclass
class Guest:
    """The state of one open page."""

    video: Path | None = None
    """The chosen file."""
    shelf: Path | None = None
    """Folder of its result; the page serves files from it."""
    order: Order | None = None
    """The order of its finished result."""
    folder: Path | None = None
    """Folder of the finished result, with result.json."""
    seen: float = field(default_factory=time.monotonic)
    stop: threading.Event | None = None
    """Stops the queued or running work."""


class Desk:
    """Runs one order at a time in the order of arrival; thread-safe.

    Args:
        folder: Of all files; `uploads` and `results` below it are made. It is not removed.
        worker: Segments the videos.
        limits: Limits for files.
        room: Largest length of the queue.
        keep: Time in s without a request after which the files of a page are removed.
    """

    def __init__(self, folder: Path, worker: Worker, limits: Limits, *, room: int = 16, keep: float = 3600.0) -> None:
        self.uploads, self.results = folder / "uploads", folder / "results"
        for part in (self.uploads, self.results):
            part.mkdir(parents=True, exist_ok=True)
        self.limits, self._worker, self._room, self._keep = limits, worker, room, keep
        self._checker = Checker(limits)
        self._visits: dict[str, Guest] = {}
        self._line: list[object] = []
        self._lock = threading.RLock()
        self._closed = threading.Event()
        threading.Thread(target=self._sweep_often, daemon=True).start()

    def warm(self) -> None:
        """Start the processes before the first order."""
        self._checker.warm()
        self._worker.warm()

    def visit(self, visitor: str) -> Guest:
        """Return the state of a page and mark it as active."""
        with self._lock:
            found = self._visits.setdefault(visitor, Guest())
            found.seen = time.monotonic()
            return found

    def take(self, visitor: str, video: Path | None) -> bool:
        """Set or clear the video of a page; earlier files are removed and their work stops.

        Returns:
            False if the page already has this video; its result is kept.

        Raises:
            JobError: a file above a limit, or no video; it is removed.
        """
        visit = self.visit(visitor)
        if video is not None and visit.video == video and video.is_file():
            return False
        self.stop(visitor)
        with self._lock:
            before, visit.video = visit.video, video
        self._clear(visit)
        self._discard(before)
        if video is None:
            return True
        try:
            self._checker.check(video)
        except JobError:
            with self._lock:
                visit.video = None
            self._discard(video)
            raise
        return True

    def predict(self, visitor: str, order: Order) -> Iterator[Moment]:
        """Segment the video of a page; yields the place in the queue, the progress, then the result.

        Args:
            order: its `out` is set here.

        Raises:
            JobError, JobStopped, WorkerDied: see `avseg.jobs.Worker.run`; too many wait, or the video is not there.
        """
        visit = self.visit(visitor)
        if visit.video is None or order.video != visit.video or not order.video.is_file():
            raise JobError("the video is no longer here; upload it again")
        self._clear(visit)
        shelf = self.results / secrets.token_urlsafe(16)
        shelf.mkdir(mode=0o700)
        order = Order(**{**vars(order), "out": shelf / "result"})
        whole = False
        try:
            for moment in self._served(visit, order):
                if isinstance(moment, Finished):
                    with self._lock:
                        if self._visits.get(visitor) is not visit:
                            raise JobStopped("the page was closed")
                        visit.shelf, visit.order, visit.folder, whole = shelf, order, moment.folder, True
                yield moment
        finally:
            if not whole:
                shutil.rmtree(shelf, ignore_errors=True)

    def add(self, visitor: str, kind: str) -> Iterator[Moment]:
        """Make another kind of output from the stored masks of a page's result.

        Raises:
            JobError, JobStopped, WorkerDied: as above; there is no result, or the video is not there any more.
        """
        visit = self.visit(visitor)
        order = visit.order
        if order is None:
            raise JobError("the result is no longer here; segment the video again")
        if not order.video.is_file():
            raise JobError("this output needs the video, which is no longer here; upload it again")
        yield from self._served(visit, Order(**{**vars(order), "save": (kind,)}))

    def stop(self, visitor: str) -> bool:
        """Stop the work of a page; returns whether there was any."""
        with self._lock:
            stop = self.visit(visitor).stop
            if stop is not None:
                stop.set()
            return stop is not None

    def leave(self, visitor: str) -> None:
        """Stop the work of a closed page and remove its files."""
        self.stop(visitor)
        with self._lock:
            visit = self._visits.pop(visitor, None)
        if visit is not None:
            self._clear(visit)
            self._discard(visit.video)

    def close(self) -> None:
        """Stop all work and end the processes."""
        self._closed.set()
        for visitor in list(self._visits):
            self.leave(visitor)
        self._worker.close()
        self._checker.close()

    def _served(self, visit: Guest, order: Order) -> Iterator[Moment]:
        """Wait for earlier orders, then work; closing the generator stops the work."""
        with self._lock:
            if visit.stop is not None:
                raise JobError("this page is already segmenting a video; wait for it, or cancel it")
            if len(self._line) > self._room:
                raise JobError(f"{len(self._line) - 1} videos are already waiting; try again in a few minutes")
            visit.stop = stop = threading.Event()
            ticket = object()
            self._line.append(ticket)
        try:
            while (ahead := self._line.index(ticket)) > 0:
                visit.seen = time.monotonic()
                yield Waiting(ahead)
                if stop.wait(LOOK):
                    raise JobStopped("stopped while waiting")
            yield from self._worked(visit, order, stop)
        finally:
            stop.set()
            with self._lock:
                self._line.remove(ticket)
                visit.stop = None

    def _worked(self, visit: Guest, order: Order, stop: threading.Event) -> Iterator[Moment]:
        told: SimpleQueue[JobProgress | Path | BaseException] = SimpleQueue()

        def work() -> None:
            try:
                told.put(self._worker.run(order, told.put, stop, self.limits))
            except BaseException as error:  # noqa: BLE001  raised where the work is waited for
                told.put(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        latest = JobProgress("loading")
        try:
            yield latest
            while True:
                visit.seen = time.monotonic()
                try:
                    found = told.get(timeout=LOOK)
                    while isinstance(found, JobProgress) and not told.empty():
                        latest, found = found, told.get()
                except Empty:
                    yield latest
                    continue
                if isinstance(found, BaseException):
                    raise found
                if isinstance(found, Path):
                    yield Finished(found, latest.notes)
                    return
                latest = found
                yield latest
        finally:
            stop.set()
            thread.join()

    def _clear(self, visit: Guest) -> None:
        """Remove the result of a page."""
        with self._lock:
            shelf, visit.shelf, visit.order, visit.folder = visit.shelf, None, None, None
        if shelf is not None:
            shutil.rmtree(shelf, ignore_errors=True)

    def _discard(self, video: Path | None) -> None:
        """Remove an upload that no page uses; pages that upload the same bytes share a file."""
        with self._lock:
            held = {visit.video for visit in self._visits.values()}
            if video is not None and video not in held and video.is_relative_to(self.uploads):
                remove(video.parent if video.parent != self.uploads else video)

    def _sweep_often(self) -> None:
        while not self._closed.wait(min(self._keep / 4, 30.0)):
            self.sweep()

    def sweep(self) -> None:
        """Remove the files of inactive pages, and uploads that belong to no page."""
        now = time.monotonic()
        for visitor, visit in list(self._visits.items()):
            if visit.stop is None and now - visit.seen > self._keep:
                self.leave(visitor)
        with self._lock:
            held = {visit.video for visit in self._visits.values()}
            for path in list(self.uploads.rglob("*")):
                keep = min(self._keep, STALLED) if path.parent == self.uploads else self._keep
                with suppress(FileNotFoundError):  # an upload that ends has another name
                    if path not in held and path.is_file() and time.time() - path.stat().st_mtime > keep:
                        path.unlink()
