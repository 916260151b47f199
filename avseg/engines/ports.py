"""Inputs and outputs of the parts of a model that engines can run, recorded while it predicts made-up clips."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from avseg.engines.samples import SampleShape, made_up
from avseg.models.base import Model
from avseg.models.seams import Seam, Tensors, called, with_runners

Call = tuple[Tensors, Tensors]


@dataclass(frozen=True)
class Port:
    """One input or output tensor of a part."""

    name: str
    rows: int
    """Rows of the first axis per independent group; 0: there are no such groups."""
    varies: tuple[int, ...] = ()
    """Other axes whose length varies between clips."""


@dataclass(frozen=True, eq=False)
class GraphPart:
    """A part of a model with its inputs, outputs and an example."""

    name: str
    seam: Seam
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    example: Tensors
    """Example inputs: two groups, if there are groups."""
    calls: tuple[Call, ...]
    """PyTorch's inputs and outputs for clips of several numbers, lengths and sizes, for comparison."""

    @property
    def rows(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Rows of a group, by input and by output."""
        return tuple(port.rows for port in self.inputs), tuple(port.rows for port in self.outputs)


def parts_of(model: Model[Any], *, sizes: bool = True) -> dict[str, GraphPart]:
    """Return the parts of a model that engines can run, by the names of its seams.

    Args:
        model: in evaluation mode, with its own parts.
        sizes: also find out which axes follow the size of pictures, where the model takes several.

    Raises:
        ValueError: the model has no such part.
    """
    seams = {name: seam for name, seam in model.seams.items() if called(model, name) is not None}
    if not seams:
        raise ValueError(
            f"models of the family {model.config.family} have no part that an engine can run; use engine torch"
        )
    usual, *others = _samples(model, sizes)
    first = _seen(model, seams, usual)
    seen = [first, *(found for sample in others if (found := _tried(model, seams, sample)))]
    return {name: _part(model, name, seams[name], [calls[name] for calls in seen]) for name in first}


def _samples(model: Model[Any], sizes: bool) -> Iterator[SampleShape]:
    spec, usual = model.config.input, SampleShape.of(model.config)
    size = usual.size
    yield usual
    yield replace(usual, clips=2)
    yield replace(usual, frames=usual.frames + 1)
    if sizes and spec.rule != "stretch":
        step = max(32, spec.multiple_of)
        yield replace(usual, size=(size[0], size[1] + 2 * step))
        yield replace(usual, size=(size[0] + step, size[1]))


def _tried(model: Model[Any], seams: dict[str, Seam], sample: SampleShape) -> dict[str, Call] | None:
    """Predict such clips; None if the model does not accept them."""
    try:
        return _seen(model, seams, sample)
    except (ValueError, RuntimeError):
        return None


def _seen(model: Model[Any], seams: dict[str, Seam], sample: SampleShape) -> dict[str, Call]:
    """Return inputs and outputs of each part at its last call, while the model predicts made-up clips."""
    calls: dict[str, Call] = {}

    def recorder(name: str) -> Any:
        def run(*tensors: Tensor) -> Tensors:
            answers = seams[name].traced(called(model, name), *tensors)
            calls[name] = (tensors, answers)
            return answers

        return run

    twin = with_runners(model, seams, {name: recorder(name) for name in seams})
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    twin.predict(made_up(model.config, sample).to(device))
    return {name: (_plain(given), _plain(answers)) for name, (given, answers) in calls.items()}


def _plain(tensors: Tensors) -> Tensors:
    """Return copies that are not inference tensors."""
    return tuple(torch.empty_like(one, requires_grad=False).copy_(one) for one in tensors)


def _part(model: Model[Any], name: str, seam: Seam, calls: Sequence[Call]) -> GraphPart:
    """Describe a part by its calls: usual clips, two clips, longer clips, other picture sizes."""
    given, answers = zip(*calls, strict=True)
    rows = _rows([*given], [*answers]) if seam.apart else [[0] * len(given[0]), [0] * len(answers[0])]
    names = seam.inputs or tuple(inspect.signature(_forward(model, name)).parameters)

    def ports(names: Sequence[str], rows: Sequence[int], tensors: Sequence[Tensors]) -> tuple[Port, ...]:
        return tuple(
            Port(names[place] if place < len(names) else f"tensor_{place}", count, _varying(tensors, place, count))
            for place, count in enumerate(rows)
        )

    more = next((call for call in given if len(call[0]) > len(given[0][0])), given[0])
    return GraphPart(
        name, seam, ports(names, rows[0], given), ports(seam.outputs, rows[1], answers), more, tuple(calls)
    )


def _forward(model: Model[Any], name: str) -> Any:
    found = called(model, name)
    return getattr(found, "forward", found)


def _rows(given: list[Tensors], answers: list[Tensors]) -> list[list[int]]:
    """Return rows of a group by input and output; zeros if the tensors differ in the number of groups."""
    for kept in (len(given), 2):
        calls = [[*i, *o] for i, o in zip(given[:kept], answers[:kept], strict=True)]
        if len(calls) < 2 or any(not tensor.ndim for call in calls for tensor in call):
            break
        rows = [math.gcd(*(len(tensor) for tensor in same)) for same in zip(*calls, strict=True)]
        groups = [{len(tensor) // row for tensor, row in zip(call, rows, strict=True)} for call in calls]
        if all(len(found) == 1 for found in groups) and any(found != groups[0] for found in groups):
            return [rows[: len(given[0])], rows[len(given[0]) :]]
    return [[0] * len(given[0]), [0] * len(answers[0])]


def _varying(tensors: Sequence[Tensors], place: int, rows: int) -> tuple[int, ...]:
    shapes = [call[place].shape for call in tensors]
    first = 1 if rows else 0
    return tuple(axis for axis in range(first, len(shapes[0])) if len({shape[axis] for shape in shapes}) > 1)
