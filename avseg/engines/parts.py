"""Parts of models for engines, run a few groups at a time so that few shapes are compiled."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from avseg.models.seams import Runner, Tensors

log = logging.getLogger(__name__)
AT_ONCE = 5 * 3 * 224 * 224
"""Approximate elements of the largest input tensor per call: five pictures at published size, or one large one."""
MOST = 8
"""Largest number of groups per call."""
FEW = 4
"""Number of shapes with their own graph; further shapes share one graph."""
Shapes = tuple[tuple[int, ...], ...]
Rows = tuple[tuple[int, ...], tuple[int, ...]]
"""Rows of a group, by input and by output."""


@dataclass(frozen=True)
class ModelPart:
    """A part of a model for an engine."""

    name: str
    run: Runner
    """The computation in PyTorch."""
    key: Callable[[], str]
    """Identifies the part, its weights and its code."""
    rows: Callable[[], Rows]
    trace: Callable[[Tensors | None], object]
    """Its graph for tensors of the shapes of these, or of any; ValueError: `torch.export` cannot follow it."""


class Engine(Protocol):
    """An engine that runs parts of models."""

    precision: str

    def of_part(self, part: ModelPart) -> Runner:
        """Return a runner of a part; it compiles at its first call."""

    def of_file(self, path: str, shaped: Tensors | None) -> Runner:
        """Return a runner of an exported graph for tensors of these shapes; None: any shape."""


class GraphEngine(ABC):
    """An engine that compiles a graph for each shape of a part, up to `FEW`."""

    precision: str

    def of_part(self, part: ModelPart) -> Runner:
        """See `Engine`."""

        @cache
        def groups() -> InGroups:
            return InGroups(part.rows(), lambda given: self.of_graph(part, given), lambda: self.of_graph(part, None))

        return lambda *tensors: groups()(*tensors)

    @abstractmethod
    def of_graph(self, part: ModelPart, shaped: Tensors | None) -> Runner:
        """Return a runner of the graph of a part for tensors of these shapes; None: any shape.

        Raises:
            ValueError: there is no such graph.
        """

    @abstractmethod
    def of_file(self, path: str, shaped: Tensors | None) -> Runner:
        """See `Engine`."""


class InGroups:
    """A runner built on first use for each shape, called with a limited number of groups."""

    def __init__(
        self, rows: Rows, make: Callable[[Tensors], Runner], make_any: Callable[[], Runner] | None = None
    ) -> None:
        """
        Args:
            rows: of a group; zeros: what comes is run as it is.
            make: gives the runner for tensors of certain shapes.
            make_any: gives one for tensors of any shape, which takes over where `FEW` were made; None, or where it
                raises ValueError: each shape gets its own.
        """
        self.rows_in, self.rows_out = rows
        self.make, self.make_any = make, make_any
        self.made: dict[Shapes, Runner] = {}
        self.any: Runner | None = None
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
        """Return the groups per call, equal for all tensors that differ only in the number of groups."""
        shape = tuple(tuple(tensor.shape[1:]) for tensor in given)
        if shape not in self.at_once:
            largest = max(tensor[:1].numel() * rows for tensor, rows in zip(given, self.rows_in, strict=True))
            self.at_once[shape] = max(1, min(AT_ONCE // largest, MOST, groups))
        return self.at_once[shape]

    def _piece(self, given: Tensors, first: int, groups: int, filled: int) -> Tensors:
        """Return some groups, padded with copies of the last one."""
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
            self.made[shapes] = self._of_any() or self.make(given)
        return self.made[shapes](*given)

    def _of_any(self) -> Runner | None:
        if self.any is None and self.make_any is not None and len(self.made) >= FEW:
            try:
                self.any = self.make_any()
            except ValueError as error:
                self.make_any = None
                log.info("each further size needs its own graph: %s", error)
        return self.any
