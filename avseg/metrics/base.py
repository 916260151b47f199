"""The interface of metrics, and the table of clips that every metric keeps."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from avseg.types import DensePrediction, DenseTarget, Prediction, Target

Array: TypeAlias = npt.NDArray[np.float64]
Row: TypeAlias = dict[str, float | int | str]


class Metric(Protocol):
    """Scores of a data set under one protocol, fed clip by clip in any order."""

    suite: str
    """Name in `avseg.metrics.SUITES` of the suite that it belongs to."""
    protocol: str

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        """Take in one clip; `index` is its place in the data set. Only frames that exist, no padded ones."""

    def merge(self, other: Self) -> None:
        """Take in what another part saw; a clip counted twice counts once."""

    def compute(self) -> dict[str, float]:
        """Name to score; the first is the one to select models by."""

    def rows(self) -> list[Row]:
        """One row per clip in data-set order: `index`, `id`, and the clip's own scores."""


class Resampled(ABC):
    """A metric whose figures can be computed again from drawn clips, as intervals by the bootstrap need it."""

    group: int = 1
    """Clips that are drawn together, neighbours in the data set, where figures are means over such groups."""

    @property
    @abstractmethod
    def groups(self) -> list[int]:
        """The numbers of the groups that were seen: place in the data set // `group`."""

    @abstractmethod
    def resampled(self, drawn: Sequence[int]) -> Self:
        """Return a metric of the clips of these groups; repeated numbers count repeatedly."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Name to score."""

    def by_class(self) -> dict[str, Array]:
        """Figures of every class, (C,) by class id, NaN where there is none; empty where classes play no part."""
        return {}


class ClipTable:
    """Partial sums of each clip (float64), by its index in the data set.

    Sums over the table run in data-set order, so they are the same to the last bit however the table came together.
    """

    def __init__(self) -> None:
        self._clips: dict[int, tuple[str, Array]] = {}

    def put(self, index: int, clip_id: str, values: Array) -> None:
        """Keep a clip. Of two entries for one index that differ, the same one stays whichever comes first."""
        entry = (clip_id, np.ascontiguousarray(values, dtype=np.float64))
        self._clips[index] = min(self._clips.get(index, entry), entry, key=lambda e: (e[0], e[1].tobytes()))

    def merge(self, other: ClipTable) -> None:
        for index, clip_id, values in other:
            self.put(index, clip_id, values)

    def __iter__(self) -> Iterator[tuple[int, str, Array]]:
        """(index, id, values) in data-set order."""
        for index in sorted(self._clips):
            yield index, *self._clips[index]

    def __len__(self) -> int:
        return len(self._clips)

    def numbers(self, size: int) -> list[int]:
        """The numbers of the groups of `size` clips that hold one."""
        return sorted({index // size for index in self._clips})

    def drawn(self, numbers: Sequence[int], size: int) -> ClipTable:
        """A table of groups of `size` clips, given by their numbers, one after the other."""
        table, held = ClipTable(), self._clips
        for place, number in enumerate(numbers):
            for offset in range(size):
                entry = held.get(number * size + offset)
                if entry is not None:
                    table._clips[place * size + offset] = entry
        return table

    def groups(self, size: int) -> list[Array]:
        """Values of clips 0..size-1, size..2 size-1 and so on, joined along their first axis."""
        groups: dict[int, list[Array]] = {}
        for index, _, values in self:
            groups.setdefault(index // size, []).append(values)
        return [np.concatenate(values) for values in groups.values()]

    def joined(self) -> Array:
        """Values of all clips, joined along their first axis.

        Raises:
            ValueError: no clip was seen.
        """
        if not self._clips:
            raise ValueError("there was no clip, so there is no score; call update before compute")
        return np.concatenate([values for _, _, values in self])


class TableMetric(Resampled):
    """A metric that keeps a row of partial sums for every clip."""

    def __init__(self, protocol: str) -> None:
        self.protocol, self.clips = protocol, ClipTable()

    def merge(self, other: Self) -> None:
        self.clips.merge(other.clips)

    @property
    def groups(self) -> list[int]:
        return self.clips.numbers(self.group)

    def resampled(self, drawn: Sequence[int]) -> Self:
        found = copy.copy(self)
        found.clips = self.clips.drawn(drawn, self.group)
        return found


def check_dense(prediction: Prediction, target: Target) -> tuple[DensePrediction, DenseTarget]:
    """The pair, known to be dense, of as many frames and of one size.

    Raises:
        TypeError: an instance prediction or target.
        ValueError: frames or sizes differ, or a logit is NaN.
    """
    name = f"clip {prediction.id!r}"
    if not isinstance(prediction, DensePrediction) or not isinstance(target, DenseTarget):
        got = f"{type(prediction).__name__} and {type(target).__name__}"
        raise TypeError(f"{name}: this metric scores dense predictions against dense ground truth, got {got}")
    frames, *size = target.labels.shape
    if len(prediction.logits) != frames:
        raise ValueError(f"{name}: predicted {len(prediction.logits)} frames, the truth has {frames}")
    if list(prediction.size) != size:
        raise ValueError(
            f"{name}: predicted masks of size {tuple(prediction.size)}, the truth is {tuple(size)} (H, W); "
            "set the clip's output_size to the size of its truth"
        )
    if bool(prediction.logits.isnan().any()):
        raise ValueError(f"{name}: the prediction holds NaN; look for it in the model's weights or its input")
    return prediction, target
