"""`avseg predict` in several processes, with the same folders and report as one process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from avseg.batch.runner import in_processes
from avseg.batch.segmenting import device_of
from avseg.engines.records import AUTO, Choice
from avseg.inference.export.kinds import GATHERED, USUAL, MaskChoice, OverlayChoice, choose
from avseg.inference.export.style import PLAIN, Style
from avseg.inference.folder import FolderReport, check_writable, fault_line, find_videos, result_names
from avseg.io.excerpt import Excerpt
from avseg.io.files import clear_stale
from avseg.jobs.child import Child
from avseg.jobs.errors import JobError, WorkerDied
from avseg.jobs.order import Order
from avseg.jobs.predicting import Predicting
from avseg.models.opening import ModelSource
from avseg.progress import Progress

log = logging.getLogger(__name__)
TRIES = 2
"""Attempts per video before a crash of the process counts as failure."""


@dataclass(frozen=True)
class FolderWork:
    """One video of a run."""

    order: Order
    name: str
    """Name of its result folder."""
    overwrite: bool


def predict_in_processes(
    inputs: Sequence[str],
    model: str | PathLike[str],
    out: Path,
    *,
    jobs: int,
    save: Sequence[str] = USUAL,
    overlay: OverlayChoice = None,
    masks: MaskChoice = "usual",
    overwrite: bool = False,
    device: str = "auto",
    **more: Any,
) -> FolderReport:
    """Run `predict_paths` in `jobs` processes, each with the model; a crash costs one attempt of its video.

    Args:
        inputs, model, out, save, overlay, masks, overwrite: see `predict_paths`.
        jobs: number of processes.
        device: with several GPUs, `auto` gives each process one of them, in turn.
        more: further arguments of `predict_paths`.

    Raises:
        ValueError: a kind of output that gathers all videos of one process, and what `predict_paths` raises.
        FileNotFoundError, OSError: see `predict_paths`.
    """
    if gathering := [kind for kind in save if kind.startswith(GATHERED)]:
        raise ValueError(f"{gathering[0]} collects the videos of one process; leave --jobs out")
    if more.pop("memory", None) is not None:
        raise ValueError("--memory works with one process only; leave --jobs out")
    if not inputs:
        raise ValueError("no video given; name files, folders or patterns")
    chosen = choose(save, overlay, masks)
    Excerpt.wanted(more.get("start"), more.get("end"), more.get("audio"))
    named = result_names(find_videos(inputs, out), out)
    check_writable(out)
    clear_stale(out)
    choice = Choice(more.pop("engine", AUTO), more.pop("precision", AUTO))
    order = _order(model, out, more, chosen.more, chosen.masks or "none", chosen.style)
    work = [FolderWork(_of(order, video), name, overwrite) for video, name in named.items()]
    processes = [FolderProcess(device, place, choice) for place in range(min(jobs, len(work)))]
    found: dict[Path, FolderReport] = {}
    processes[0].check(order)
    with Progress(len(work), "predict", "video") as progress, closing(in_processes(processes, work)) as told:
        for video, report, lines in told:
            found[video] = report
            for line in lines:
                log.info("%s", line)
            for reason in (*report.failed.values(), *(r for of in report.lacking.values() for r in of.values())):
                log.error("%s", fault_line(video, reason))
            progress.advance()
    return _joined(out, [found[video] for video in named if video in found])


def _order(
    model: str | PathLike[str], out: Path, more: dict[str, Any], save: tuple[str, ...], masks: Any, style: Style
) -> Order:
    choices = dict(model.choices) if isinstance(model, ModelSource) else {}
    audio, classes = more.pop("audio", None), more.pop("classes", None)
    return Order(
        model=str(model),
        video=Path(),
        out=out,
        audio=None if audio is None else Path(audio),
        save=save,
        masks=masks,
        classes=classes if classes is None or isinstance(classes, str) else ",".join(classes),
        choices=choices,
        options=dict(more.pop("options", None) or {}),
        style=style or PLAIN,
        **more,
    )


def _of(order: Order, video: Path) -> Order:
    return Order(**{**vars(order), "video": video})


def _joined(out: Path, reports: Sequence[FolderReport]) -> FolderReport:
    found = FolderReport(out)
    for report in reports:
        found.done.update(report.done)
        found.skipped.update(report.skipped)
        found.failed.update(report.failed)
        found.lacking.update(report.lacking)
        found.notes += report.notes
    return found


Told = tuple[Path, FolderReport, tuple[str, ...]]
"""A video, what became of it, and lines about it."""


class FolderProcess:
    """A process with the model."""

    def __init__(self, device: str, place: int, choice: Choice) -> None:
        self._child = Child("avseg.batch.folders:FolderAnswers", device, place, choice, doing="segments videos")
        self.stop = threading.Event()

    def check(self, order: Order) -> None:
        """
        Raises:
            ValueError: the model, or an option that does not fit it.
        """
        self._child.ask(order, stop=self.stop)

    def run(self, wanted: FolderWork) -> Told:
        """See `avseg.batch.runner.Process`."""
        video, report = wanted.order.video, FolderReport(wanted.order.out)
        for _ in range(TRIES):
            try:
                told: Told = self._child.ask(wanted, stop=self.stop)
                return told
            except WorkerDied as error:
                report.failed[video] = f"{error}, on each of {TRIES} tries"
            except JobError as error:
                report.failed[video] = str(error)
                break
            finally:
                clear_stale(wanted.order.out)
        return video, report, ()

    def close(self) -> None:
        """See `avseg.batch.runner.Process`."""
        self._child.close()


class FolderAnswers:
    """Answers questions in the process (see `avseg.jobs.child.Child`)."""

    def __init__(self, device: str, place: int, choice: Choice) -> None:
        self._predicting = Predicting(device_of((device,), place), choice)

    def __call__(
        self, work: FolderWork | Order, tell: Callable[[Any], None], wants_stop: Callable[[], bool]
    ) -> Told | None:
        """
        Raises:
            JobStopped: `wants_stop` said so.
            ValueError: options that do not fit the model.
        """
        if isinstance(work, Order):
            self._predicting.describe(work)
            return None
        with _lines() as lines:
            report = self._predicting.report(
                work.order, lambda _: None, wants_stop, name=work.name, overwrite=work.overwrite
            )
        return work.order.video, report, tuple(lines)


@contextmanager
def _lines() -> Iterator[list[str]]:
    """Return the log lines of `predict_folder` for a video."""
    found: list[str] = []
    logger, handler = logging.getLogger(FolderReport.__module__), _Kept(found)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


class _Kept(logging.Handler):
    """Keeps log records except errors, which are in the report."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if record.levelno < logging.WARNING:
            self._lines.append(record.getMessage())
