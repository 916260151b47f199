"""Limits checked in a process of its own: a file that crashes FFmpeg's readers costs that process and nothing else."""

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
"""Bytes that reading a header may take."""
PATIENCE = 20.0
"""s that the header of a file may take, the start of the process included."""


class Checker:
    """`Limits.check` of one file after another, by several threads if they like."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child = Child("avseg.jobs.checker:checking", limits, doing="looks at files")

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
    """What answers in the process."""
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
    """FFmpeg decodes a picture where a header does not tell all, and a small file may hold a picture of 800 MB."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        resource = importlib.import_module("resource")
        held = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
