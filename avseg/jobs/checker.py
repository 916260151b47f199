"""Limits checked in a separate process, so that a file that crashes FFmpeg's readers ends only that process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avseg.jobs.child import Child
from avseg.jobs.errors import JobError, JobStopped, WorkerDied
from avseg.jobs.limits import Limits
from avseg.lazy import imported

MEMORY = 256 * 2**20
"""Memory limit in bytes for reading a header."""
PATIENCE = 20.0
"""Time limit in s for the header of a file, including the start of the process."""


class Checker:
    """Runs `Limits.check` on one file after another; several threads may call it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child = Child("avseg.jobs.checker:checking", limits, doing="checks files")

    def check(self, path: Path, *, sound: bool = False) -> None:
        """
        Args:
            path: the file.
            sound: whether its sound alone is used.

        Raises:
            JobError: see `Limits.check`; or its header takes too long, or brings the process down.
        """
        try:
            self._child.ask((Path(path), sound), seconds=PATIENCE)
        except (WorkerDied, JobStopped) as error:
            raise JobError(f"{Path(path).name} cannot be opened: {error}") from error

    def warm(self) -> None:
        """Start the process before the first file."""
        self._child.warm()

    def close(self) -> None:
        """End the process."""
        self._child.close()


def checking(limits: Limits) -> Callable[..., None]:
    """Return the function that answers in the process."""
    imported("av:open")  # counts among what is held before
    _bound_memory()

    def check(question: tuple[Path, bool], *_: Any) -> None:
        path, sound = question
        if sound:
            limits.check_sound(path)
        else:
            limits.check(path)

    return check


def _bound_memory() -> None:
    """Limit the memory: FFmpeg may decode a picture to complete a header, and a small file may hold one of 800 MB."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        resource = importlib.import_module("resource")
        held = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
