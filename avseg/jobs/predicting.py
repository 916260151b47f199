"""The work in the process of a `Worker`: `predict_folder` on one video, with progress and cancellation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from avseg.engines.records import Choice
from avseg.inference.folder import FolderReport, predict_folder
from avseg.inference.records import FrameResult, FrameStream, Measured
from avseg.inference.segmenter import Segmenter
from avseg.inference.source import check_hears
from avseg.io.media import VideoInfo
from avseg.io.shared import SharedPictures
from avseg.jobs.errors import JobError, JobStopped
from avseg.jobs.limits import Limits
from avseg.jobs.merging import Merging, can_merge
from avseg.jobs.order import JobProgress, Order, Stage
from avseg.jobs.room import Merged, Shares
from avseg.models.base import Model
from avseg.models.files import load_model
from avseg.models.opening import ModelSource
from avseg.models.session import EachGroup, Session
from avseg.types import Batch, Prediction

OFTEN = 0.2
"""Interval in s between progress reports."""


class Stop(BaseException):
    """Ends the work on a video; not an `Exception`, so that it is not reported as a fault of the video."""


class _Held(NamedTuple):
    """The loaded model."""

    key: Any
    model: Model[Any]
    merging: Merging | None
    """Merges the steps of several videos; None if they run separately."""


class Predicting:
    """Answers orders (see `avseg.jobs.child.Child`) with the folder of the result; keeps the last model loaded.

    Args:
        device: see `Segmenter`.
        choice: engine and precision.
        together: orders that may be worked on at once, where their model is dense and predicts every group by itself.
    """

    def __init__(self, device: str, choice: Choice, together: int = 1) -> None:
        self._device, self._choice, self._together = device, choice, together
        self._held: _Held | None = None
        self._before: _Watched | None = None
        self._wanted: Any = None
        self._loading = threading.Lock()

    def __call__(
        self,
        question: tuple[Order, Limits | None],
        tell: Callable[[JobProgress | Shares | Merged], None],
        wants_stop: Callable[[], bool],
    ) -> Path:
        """
        Raises:
            JobError: the video has no result, in one sentence.
            JobStopped: `wants_stop` said so.
            ValueError: options that do not fit the model, and what else `predict_folder` raises.
        """
        order, limits = question
        found = self.report(order, tell, wants_stop, limits)
        if found.failed:
            raise JobError(next(iter(found.failed.values())))
        return next(iter({**found.skipped, **found.done}.values()))

    def report(
        self,
        order: Order,
        tell: Callable[[JobProgress | Shares | Merged], None],
        wants_stop: Callable[[], bool],
        limits: Limits | None = None,
        *,
        name: str | None = None,
        overwrite: bool = False,
    ) -> FolderReport:
        """Run an order and return the report.

        Args:
            name: of the result's folder; None: by the video's name.
            overwrite: see `predict_folder`.

        Raises:
            JobStopped: `wants_stop` said so.
            ValueError: options that do not fit the model, and what else `predict_folder` raises.
        """
        with _Report(tell) as report:
            try:
                with self._loading:
                    held = self._model(order)
                    segmenter = self._segmenter(held.model, order)
                segmenter.report, segmenter.wants_stop, segmenter.limits = report, _Wish(wants_stop), limits
                if held.merging is None or not segmenter.is_plain:
                    found = _predict(segmenter, order, name, overwrite)
                else:
                    found = _predict_merged(segmenter, order, held.merging, tell)
            except Stop:
                raise JobStopped("the work was stopped between two frames") from None
            report.notes += [fault for faults in found.lacking.values() for fault in faults.values()]
            report.notes += found.notes
        return found

    def describe(self, order: Order) -> dict[str, Any]:
        """Return the description of the model in result.json, and the masks per second."""
        segmenter = self._segmenter(self._model(order).model, order)
        return {**segmenter.describe(), "fps": segmenter.fps}

    def _segmenter(self, model: Model[Any], order: Order) -> _Watched:
        """Return a segmenter for an order; reuses the previous one if its settings are equal and it is idle."""
        wanted = (order.model, order.fps, order.classes, order.threshold, order.options)
        if self._together == 1 and self._before is not None and self._wanted == wanted:
            return self._before
        segmenter = _Watched(model, order, self._device, self._choice)
        segmenter.take_over(self._before)
        self._before, self._wanted = segmenter, wanted
        return segmenter

    def _model(self, order: Order) -> _Held:
        """Return the model; loads it again if it is another one or its file has changed."""
        file = Path(order.model)
        state = (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None
        key = (order.model, sorted(order.choices.items()), state)
        if self._held is None or self._held.key != key:
            self._held = self._before = None  # first free the memory of the other one
            model = load_model(ModelSource(order.model, order.choices))
            merges = self._together > 1 and can_merge(model)
            self._held = _Held(key, model, Merging(model.predict, self._together) if merges else None)
            check_hears(model.config)
        return self._held


def _predict_merged(
    segmenter: _Watched, order: Order, merging: Merging, tell: Callable[[Shares | Merged], None]
) -> FolderReport:
    """Run `_predict` together with orders of the same model."""

    def step(batch: Batch) -> list[Prediction]:
        return merging.step(batch, lambda orders: tell(Merged(orders)))

    segmenter.step = step
    with merging.video():
        tell(Shares())
        return _predict(segmenter, order)


def _predict(segmenter: Segmenter, order: Order, name: str | None = None, overwrite: bool = False) -> FolderReport:
    return predict_folder(
        segmenter,
        [order.video] if name is None else {order.video: name},
        order.out,
        save=order.save,
        overlay=order.style,
        masks=None if order.masks == "none" else order.masks,
        overwrite=overwrite,
        start=order.start,
        end=order.end,
        audio=order.audio,
    )


class _Wish:
    """Remembers whether a stop was requested; any thread may read it."""

    def __init__(self, asks: Callable[[], bool]) -> None:
        self._asks, self._one, self._asked = asks, threading.Lock(), False

    def __call__(self) -> bool:
        with self._one:
            self._asked = self._asked or self._asks()
            return self._asked


class _Watched(Segmenter):
    """A Segmenter that reports its progress and can stop between two frames."""

    report: _Report
    wants_stop: Callable[[], bool]
    limits: Limits | None
    step: Callable[[Batch], list[Prediction]] | None = None
    """Replaces the model's own step, which predicts each group independently."""

    def __init__(self, model: Model[Any], order: Order, device: str, choice: Choice) -> None:
        super().__init__(
            model,
            fps=order.fps,
            device=device,
            name=Path(order.model).name,
            classes=order.classes,
            threshold=order.threshold,
            options=order.options,
            engine=choice.engine,
            precision=choice.precision,
        )

    @property
    def is_plain(self) -> bool:
        """Whether PyTorch runs the model, without another engine."""
        return self._runs is self.model

    def session(self) -> Session:
        """See `Segmenter.session`."""
        own = super().session()
        return own if self.step is None else EachGroup(self.step, own.frames_at_once)

    def take_over(self, other: _Watched | None) -> None:
        """Reuse the parts of the same model that an engine compiled for another video."""
        if other is not None and other.model is self.model and other.device == self.device:
            self._runs = other._runs

    def frames_of(self, info: VideoInfo) -> FrameStream:
        """See `Segmenter.frames_of`."""
        if self.wants_stop():
            raise Stop
        if self.limits is not None:  # again: the header may have said otherwise
            self.limits.check_pixels(info.path.name, info.width, info.height)
        stream = super().frames_of(info)
        self.report.begin(stream, info.duration)
        return _WatchedStream(stream, self.report, self.wants_stop)


class _WatchedStream(FrameStream):
    """Frames of another stream, with a check for a stop request before each is predicted and written."""

    def __init__(self, stream: FrameStream, report: _Report, wants_stop: Callable[[], bool]) -> None:
        self._stream, self._report, self._wants_stop = stream, report, wants_stop

    def share(self, stopped: threading.Event) -> SharedPictures | None:
        """See `FrameStream`."""
        return self._stream.share(stopped)

    def check(self) -> None:
        """See `FrameStream`."""
        if self._wants_stop():
            raise Stop

    def __next__(self) -> FrameResult:
        self.check()
        try:
            return next(self._stream)
        except StopIteration:
            self._report.stage = "writing"
            raise

    @property
    def measured(self) -> Measured:
        """Facts of the pictures decoded so far."""
        return self._stream.measured

    @property
    def notes(self) -> Mapping[str, Any]:
        """See `FrameStream`."""
        return self._stream.notes


class _Report(logging.Handler):
    """Reports progress during its block from a separate thread, because one frame may take long."""

    def __init__(self, tell: Callable[[JobProgress], None]) -> None:
        super().__init__(logging.WARNING)
        self.stage: Stage = "loading"
        self.notes: list[str] = []
        self._tell, self._told = tell, JobProgress("loading")
        self._stream: FrameStream | None = None
        self._total = 0.0
        self._over = threading.Event()
        self._worker = threading.get_ident()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> _Report:
        logging.getLogger("avseg").addHandler(self)
        self._tell(self._told)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        logging.getLogger("avseg").removeHandler(self)
        self._look()

    def begin(self, stream: FrameStream, total: float) -> None:
        """Start a video with its length in s."""
        self._stream, self._total, self.stage = stream, total, "predicting"

    def emit(self, record: logging.LogRecord) -> None:
        """Record a warning about this video as a note; errors are reported at the end."""
        if record.levelno == logging.WARNING and record.thread == self._worker:
            self.notes.append(record.getMessage())

    def _go_on(self) -> None:
        while not self._over.wait(OFTEN):
            self._look()

    def _look(self) -> None:
        done = self._told.done if self._stream is None else max(self._told.done, self._stream.measured.duration)
        now = JobProgress(self.stage, done, self._total, tuple(self.notes))
        if now != self._told:
            self._told = now
            self._tell(now)
