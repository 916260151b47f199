"""Shared batches: steps of several videos with the same shape go through the network together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from avseg.models.base import Model
from avseg.models.session import EachGroup, joined, shape_of
from avseg.types import Batch, Prediction

PATIENCE = 0.1
"""Longest wait in s of a step for steps of other videos."""


def can_merge(model: Model[Any]) -> bool:
    """Whether a model is dense and predicts each group independently."""
    return model.task.kind != "instance" and isinstance(model.session(), EachGroup)


@dataclass(eq=False)
class _Step:
    """A batch without predictions yet."""

    batch: Batch
    shape: tuple[Any, ...]
    found: list[Prediction] = field(default_factory=list)
    error: Exception | None = None
    ended: bool = False


class Merging:
    """Shares `Model.predict` among threads; the network runs one batch at a time."""

    def __init__(self, predict: Callable[[Batch], list[Prediction]], most: int) -> None:
        """
        Args:
            predict: see `Model.predict`.
            most: videos whose steps may be in one batch.
        """
        self._predict, self._most = predict, most
        self._network = threading.Lock()
        self._change = threading.Condition()
        self._waiting: list[_Step] = []
        self._videos = 0
        self._took = PATIENCE
        """Duration of the last batch in the network in s."""

    @property
    def patience(self) -> float:
        """Wait in s of a step for steps of other videos: the duration of the last batch, at most `PATIENCE`."""
        return min(self._took, PATIENCE)

    @contextmanager
    def video(self) -> Iterator[None]:
        """Context for the steps of one video; steps wait for others only while other videos are active."""
        with self._change:
            self._videos += 1
        try:
            yield
        finally:
            with self._change:
                self._videos -= 1
                self._change.notify_all()

    def step(self, batch: Batch, merged: Callable[[int], None]) -> list[Prediction]:
        """Return the predictions of a batch.

        Args:
            batch: of one video.
            merged: called with the number of videos in a batch by the thread that had it made.

        Raises:
            Exception: what `predict` raises for this batch by itself.
        """
        own = _Step(batch, shape_of(batch))
        with self._change:
            self._waiting.append(own)
            self._change.notify_all()
        with self._network:
            if not own.ended:
                steps = self._gathered(own)
                self._run(steps)
                merged(len(steps))
        if own.error is not None:
            raise own.error
        return own.found

    def _gathered(self, own: _Step) -> list[_Step]:
        """Return a step and the steps to merge with it, removed from the queue."""

        def fitting() -> list[_Step]:
            return [step for step in self._waiting if step is not own and step.shape == own.shape]

        with self._change:
            self._change.wait_for(lambda: len(fitting()) + 1 >= min(self._most, self._videos), self.patience)
            steps = [own, *fitting()[: self._most - 1]]
            self._waiting = [step for step in self._waiting if step not in steps]
            return steps

    def _run(self, steps: list[_Step]) -> None:
        begun = time.monotonic()
        try:
            found = self._predict(joined([step.batch for step in steps]))
        except Exception as error:  # noqa: BLE001  raised where its step was asked for
            if len(steps) == 1:
                steps[0].error, steps[0].ended = error, True
            else:  # each by itself: only those whose fault it is have one
                for step in steps:
                    self._run([step])
            return
        self._took = time.monotonic() - begun
        for step in steps:
            step.found, found = found[: len(step.batch)], found[len(step.batch) :]
            step.ended = True
