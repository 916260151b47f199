"""One video on its way through a model, part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from avseg.types import Batch, Prediction

FRAMES_AT_ONCE = 25
"""Pictures in one call of a network, in whole groups."""


class Session(Protocol):
    """What `avseg.models.base.Model.session` gives: it gets a video in order and predicts as soon as it can."""

    frames_at_once: int | None
    """How many pictures `step` likes to get; None: all that belong together."""

    def step(self, batch: Batch) -> list[Prediction]:
        """The next groups of frames, with the sound that belongs to them.

        Returns:
            A prediction for each of the groups that were given first and not yet answered; none while it waits.
        """

    def finish(self, size: tuple[int, int]) -> list[Prediction]:
        """One prediction with masks of `size` (H, W) of all frames that were not answered; none where all were."""


class EachGroup:
    """The session of a model that predicts every group by itself."""

    def __init__(self, predict: Callable[[Batch], list[Prediction]], frames_at_once: int | None) -> None:
        """`predict`: `Model.predict`."""
        self.step = predict
        self.frames_at_once = frames_at_once

    def finish(self, size: tuple[int, int]) -> list[Prediction]:
        """Nothing is left."""
        return []
