"""The work of a batch process: fetch a video, segment it, store the result."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Literal

import torch

from avseg.batch.outcome import Outcome
from avseg.batch.plan import BatchPlan
from avseg.batch.results import open_results
from avseg.batch.videos import BatchVideo
from avseg.device import best_device
from avseg.engines.records import Choice
from avseg.inference.folder import FolderReport
from avseg.io.address import below_scheme, clean, is_url, local_path, shown
from avseg.io.remote import filesystem, reached
from avseg.jobs.errors import EXPECTED, JobStopped, sentence_of
from avseg.jobs.order import JobProgress
from avseg.jobs.predicting import Predicting
from avseg.version import __version__

log = logging.getLogger(__name__)

WantsStop = Callable[[], bool]


class Segmenting:
    """Answers questions (see `avseg.jobs.child.Child`): a video, or None, which asks for the model.

    Args:
        plan: for all videos.
        place: number of this process on its machine, from 0; it decides the device.
    """

    def __init__(self, plan: BatchPlan, place: int = 0) -> None:
        torch.set_num_threads(plan.threads)
        self._plan = plan
        self._device = device_of(plan.devices, place)
        self._predicting = Predicting(self._device, Choice(plan.engine, plan.precision))
        self._results = open_results(plan.out)

    def __call__(
        self, question: tuple[BatchVideo, bool] | None, tell: Callable[[Any], None], wants_stop: WantsStop
    ) -> Outcome | dict[str, Any]:
        """
        Args:
            question: the video, and whether a result of it that is there shall be replaced; None: asks for what
                `Predicting.describe` gives.

        Raises:
            JobStopped: `wants_stop` said so.
        """
        if question is None:
            return self._predicting.describe(self._plan.order(Path(), Path()))
        video, replacing = question
        begun, clock = now(), perf_counter()
        state: Literal["done", "there", "failed"] = "failed"
        error, notes, duration = "", tuple[str, ...](), 0.0
        try:
            if not replacing and self._results.has(video.id):
                return Outcome(video.id, "there")
            state, notes, duration = self._made(video, replacing, wants_stop)
        except JobStopped:
            raise
        except Exception as fault:  # one video must not cost the others
            error = clean(sentence_of(fault))
            if not isinstance(fault, EXPECTED):
                log.error("%s", video.id, exc_info=fault)
        return Outcome(
            id=video.id,
            status=state,
            error=error,
            notes=notes,
            duration=round(duration, 3),
            seconds=round(perf_counter() - clock, 3),
            begun=begun,
            ended=now(),
            host=platform.node(),
            device=best_device() if self._device == "auto" else self._device,
            # torch's own text is of a class of torch, which would make whoever unpickles it import torch.
            versions={"avseg": __version__, "torch": str(torch.__version__), "av": version("av")},
        )

    def _made(
        self, video: BatchVideo, replacing: bool, wants_stop: WantsStop
    ) -> tuple[Literal["done", "there"], tuple[str, ...], float]:
        """Segment the video; returns whether it was done, notes, and the length of the video in s.

        Raises:
            ValueError, OSError: there is no result.
        """
        last = [JobProgress("loading")]

        def told(progress: object) -> None:
            if isinstance(progress, JobProgress):
                last.append(progress)

        with fetched(video) as path, self._results.folder(video) as folder:
            report = self._predicting.report(self._plan.order(path, folder), told, wants_stop, name=path.stem)
            _refuse(report, video, path)
            kept = self._results.keep(video, folder / path.stem, replacing=replacing)
        return "done" if kept else "there", tuple(map(clean, last[-1].notes)), last[-1].done


def _refuse(report: FolderReport, video: BatchVideo, path: Path) -> None:
    """
    Raises:
        ValueError: the video has no result, or one that lacks something that was asked for.
    """
    lacking = (fault for faults in report.lacking.values() for fault in faults.values())
    for sentence in (*report.failed.values(), *lacking):
        raise ValueError(sentence.replace(str(path), shown(video.source)))


@contextmanager
def fetched(video: BatchVideo) -> Iterator[Path]:
    """Yield a local path with the video's content, under its original name.

    Raises:
        OSError: it cannot be read, or has changed since it was listed.
    """
    if not is_url(video.source):
        yield Path(local_path(video.source))
        return
    files, place = filesystem(video.source)
    with TemporaryDirectory(prefix="avseg-") as folder:
        path = Path(folder) / (PurePosixPath(below_scheme(video.source)).name or "video")
        with reached(video.source):
            files.get_file(place, str(path))
        got = path.stat().st_size
        if video.bytes is not None and got != video.bytes:
            raise OSError(f"{shown(video.source)} has {got} bytes but was listed with {video.bytes}")
        yield path


def device_of(devices: tuple[str, ...], place: int) -> str:
    """Return the device of a process; with several GPUs, `auto` takes them in turn."""
    device = devices[place % len(devices)]
    if device == "auto" and torch.cuda.device_count() > 1:
        return f"cuda:{place % torch.cuda.device_count()}"
    return device


def now() -> str:
    """Return the time in UTC to the millisecond, by the clock of this machine."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
