"""What the owner of a service decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from avseg.engines.records import FAST, Choice
from avseg.jobs.limits import USUAL_LIMITS, Limits

MOST_TOGETHER = 64
"""Jobs that one process may work on at once; each has a thread of its own here and there."""


@dataclass(frozen=True)
class Settings:
    """See `avseg serve --help`."""

    models: tuple[str, ...]
    """Model files, Hub ids, or names that open models; a request names them by the last part of their path."""
    folder: Path
    """Of the queue, the uploads and the results."""
    devices: tuple[str, ...] = ("auto",)
    """One process works on each."""
    limits: Limits = USUAL_LIMITS
    queue: int = 100
    """Jobs that may wait or run."""
    keep: float = 24 * 3600.0
    """s that a result is kept after its job has ended."""
    upload: float = 300.0
    """s that an upload, or the download of a URL, may last."""
    hosts: tuple[str, ...] = ()
    """Hosts from which URLs are taken; empty: no URL is."""
    choice: Choice = FAST
    """Engine and precision."""
    batch: int = 1
    """Jobs of one dense model that a process works on at once, and that one batch of the network is of."""

    def __post_init__(self) -> None:
        names = [Path(model).name for model in self.models]
        if not names:
            raise ValueError("no model is given to serve; name at least one, such as demo")
        if len({*names}) < len(names):
            raise ValueError(f"two models are called alike ({', '.join(names)}); a request could not name them apart")
        if not self.devices:
            raise ValueError("no device is given; name at least one, such as cpu")
        for device in self.devices:
            if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
                raise ValueError(f"there is no device {device!r}; wanted auto, cpu, cuda, cuda:N or mps")
        self.choice.check()
        for name in ("bytes", "seconds", "pixels", "work"):
            if not (value := getattr(self.limits, name)) > 0:
                raise ValueError(f"the most {name} are {value:g}, wanted more than 0")
        for name, value in (("queue", self.queue), ("keep", self.keep), ("upload", self.upload)):
            if not value > 0:
                raise ValueError(f"{name} is {value:g}, wanted more than 0")
        if not 1 <= self.batch <= MOST_TOGETHER:
            raise ValueError(f"batch is {self.batch}, wanted 1 to {MOST_TOGETHER} jobs")

    @property
    def named(self) -> dict[str, str]:
        """What opens each model, by the name that requests use."""
        return {Path(model).name: model for model in self.models}
