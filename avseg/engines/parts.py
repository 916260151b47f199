"""Running a part of a model some groups at a time, so that few shapes are compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from avseg.models.seams import Runner, Tensors

AT_ONCE = 5 * 3 * 224 * 224
"""Numbers of the largest tensor that go in at once, about: five pictures as published, or one large one."""
MOST = 8
"""Groups at once."""
Shapes = tuple[tuple[int, ...], ...]


class Engine(Protocol):
    """What computes graphs."""

    precision: str

    def of_model(self, name: str, shaped: Sequence[Tensor], trace: Callable[[], object], key: str) -> Runner:
        """What runs a part for tensors of these shapes.

        Args:
            name: of the part, for messages.
            shaped: tensors of the shapes.
            trace: gives the graph; it is called only where nothing is in the cache.
            key: tells the part, its weights and its code apart from others.
        """

    def of_file(self, path: str, shaped: Sequence[Tensor], fixed: bool) -> Runner:
        """What runs an exported graph for tensors of these shapes, or of others too unless `fixed`."""


class InGroups:
    """A runner that is made on first use, once for each shape, and gets at most so many groups at once."""

    def __init__(self, rows: tuple[tuple[int, ...], tuple[int, ...]], make: Callable[[Tensors], Runner]) -> None:
        """
        Args:
            rows: of a group, by input and by output; zeros: what comes is run as it is.
            make: gives the runner for tensors of certain shapes.
        """
        self.rows_in, self.rows_out = rows
        self.make = make
        self.made: dict[Shapes, Runner] = {}
        self.at_once: dict[Shapes, int] = {}

    def __call__(self, *tensors: Tensor) -> Tensors:
        given = tuple(tensor.detach() for tensor in tensors)
        if not self.rows_in[0]:
            return self._run(given)
        groups = len(given[0]) // self.rows_in[0]
        at_once = self._at_once(given, groups)
        pieces = [
            self._piece(given, first, min(at_once, groups - first), at_once) for first in range(0, groups, at_once)
        ]
        if len(pieces) == 1:
            return pieces[0]
        return tuple(torch.cat(same) for same in zip(*pieces, strict=True))

    def _at_once(self, given: Tensors, groups: int) -> int:
        """The same for all calls with tensors of one shape but for their number of groups."""
        shape = tuple(tuple(tensor.shape[1:]) for tensor in given)
        if shape not in self.at_once:
            largest = max(tensor[:1].numel() * rows for tensor, rows in zip(given, self.rows_in, strict=True))
            self.at_once[shape] = max(1, min(AT_ONCE // largest, MOST, groups))
        return self.at_once[shape]

    def _piece(self, given: Tensors, first: int, groups: int, filled: int) -> Tensors:
        """Some groups, filled up with copies of the last one."""
        parts = []
        for tensor, rows in zip(given, self.rows_in, strict=True):
            part = tensor[first * rows : (first + groups) * rows]
            if groups < filled:
                part = torch.cat([part, *[part[-rows:]] * (filled - groups)])
            parts.append(part)
        answers = self._run(tuple(parts))
        return tuple(answer[: groups * rows] for answer, rows in zip(answers, self.rows_out, strict=True))

    def _run(self, given: Tensors) -> Tensors:
        shapes = tuple(tuple(tensor.shape) for tensor in given)
        if shapes not in self.made:
            self.made[shapes] = self.make(given)
        return self.made[shapes](*given)
