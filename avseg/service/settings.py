"""The settings of a service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from avseg.engines.records import FAST, Choice
from avseg.jobs.limits import USUAL_LIMITS, Limits

MOST_TOGETHER = 64
"""Largest number of jobs at once per process; each has a thread in both processes."""


@dataclass(frozen=True)
class Settings:
    """The settings of a service; see `avseg serve --help`."""

    models: tuple[str, ...]
    """Model files, Hub ids, or names that open models; a request names them by the last part of their path."""
    folder: Path
    """Folder for the queue, the uploads and the results."""
    devices: tuple[str, ...] = ("auto",)
    """Devices, with one process on each."""
    limits: Limits = USUAL_LIMITS
    queue: int = 100
    """Largest number of queued and running jobs."""
    keep: float = 24 * 3600.0
    """Time in s to keep a result after the end of its job."""
    upload: float = 300.0
    """Time limit in s for an upload or the download of a URL."""
    hosts: tuple[str, ...] = ()
    """Allowed hosts of URLs; empty: no URL is accepted."""
    choice: Choice = FAST
    """Engine and precision."""
    batch: int = 1
    """Jobs of one dense model that run at once in a process and share batches of the network."""

    def __post_init__(self) -> None:
        names = [Path(model).name for model in self.models]
        if not names:
            raise ValueError("no model given to serve; name at least one, such as demo")
        if len({*names}) < len(names):
            raise ValueError(
                f"two models have the same name ({', '.join(names)}); rename one, because requests use the names"
            )
        if not self.devices:
            raise ValueError("no device given; name at least one, such as cpu")
        for device in self.devices:
            if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
                raise ValueError(f"there is no device {device!r}; wanted auto, cpu, cuda, cuda:N or mps")
        self.choice.check()
        for name in ("bytes", "seconds", "pixels", "work"):
            if not (value := getattr(self.limits, name)) > 0:
                raise ValueError(f"the limit for {name} is {value:g}, wanted more than 0")
        for name, value in (("queue", self.queue), ("keep", self.keep), ("upload", self.upload)):
            if not value > 0:
                raise ValueError(f"{name} is {value:g}, wanted more than 0")
        if not 1 <= self.batch <= MOST_TOGETHER:
            raise ValueError(f"batch is {self.batch}, wanted 1 to {MOST_TOGETHER} jobs")

    @property
    def named(self) -> dict[str, str]:
        """Return the source of each model by the name that requests use."""
        return {Path(model).name: model for model in self.models}
