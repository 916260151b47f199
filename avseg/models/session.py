"""One video on its way through a model, part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from avseg.models.budget import Budget
from avseg.types import Batch, Prediction

FRAMES_AT_ONCE = 25
"""Pictures in one call of a network, in whole groups."""


class Session(Protocol):
    """The session of `avseg.models.base.Model.session`: it receives a video in order and predicts as soon as
    possible.
    """

    frames_at_once: int | None
    """How many pictures `step` likes to get; None: all that belong together."""
    budget: Budget
    """Limit per step of a session that divides its input; set before the first step."""

    def step(self, batch: Batch) -> list[Prediction]:
        """The next groups of frames, with the sound that belongs to them.

        Returns:
            A prediction for each of the groups that were given first and not yet answered; none while it waits.
        """

    def finish(self, size: tuple[int, int]) -> list[Prediction]:
        """One prediction with masks of `size` (H, W) of all frames that were not answered; none where all were."""

    def notes(self) -> Mapping[str, Any]:
        """Why the model predicted what it did, in plain JSON (docs/reference/result.md); final after `finish`. Empty
        where it does not tell."""


class EachGroup:
    """The session of a model that predicts every group by itself."""

    def __init__(self, predict: Callable[[Batch], list[Prediction]], frames_at_once: int | None) -> None:
        """`predict`: `Model.predict`."""
        self.step = predict
        self.frames_at_once = frames_at_once
        self.budget = Budget()

    def finish(self, size: tuple[int, int]) -> list[Prediction]:
        """Nothing is left."""
        return []

    def notes(self) -> Mapping[str, Any]:
        """It does not tell."""
        return {}


def shape_of(batch: Batch) -> tuple[Any, ...]:
    """Return the key of batches that can be joined: the shape of all but their first axis, kind and place."""
    tensors = ((f.name, getattr(batch, f.name)) for f in fields(batch))
    shapes = ((name, tuple(v.shape[1:]), v.dtype, v.device) for name, v in tensors if isinstance(v, Tensor))
    return (*shapes, batch.sample_rate)


def joined(batches: Sequence[Batch]) -> Batch:
    """The clips of batches of one shape (see `shape_of`) in one, without their truth."""
    first = batches[0]
    if len(batches) == 1:
        return first
    tensors: dict[str, Any] = {
        f.name: torch.cat([getattr(batch, f.name) for batch in batches])
        for f in fields(first)
        if isinstance(getattr(first, f.name), Tensor)
    }
    ids = [name for batch in batches for name in batch.ids]
    sizes = [size for batch in batches for size in batch.output_sizes]
    return replace(first, ids=ids, output_sizes=sizes, targets=None, index=[], **tensors)


def alone(batch: Batch, clip: int) -> Batch:
    """One clip of a batch, without its truth."""
    part = slice(clip, clip + 1)
    tensors: dict[str, Any] = {
        f.name: v[part] for f in fields(batch) if isinstance(v := getattr(batch, f.name), Tensor)
    }
    return replace(batch, ids=batch.ids[part], output_sizes=batch.output_sizes[part], targets=None, index=[], **tensors)


def unpadded(batch: Batch) -> Batch:
    """A batch of one clip without padded frames, rows and columns, and without its truth."""
    frames = slice(0, int(batch.valid[0].sum()))
    height, width = batch.sizes[0].tolist()
    features = batch.audio_features
    return replace(
        batch,
        frames=batch.frames[:, frames, :, :height, :width],
        times=batch.times[:, frames],
        valid=batch.valid[:, frames],
        targets=None,
        audio_features=None if features is None else features[:, frames],
    )
