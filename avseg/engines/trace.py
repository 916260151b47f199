"""Parts of models as graphs of `torch.export`: of one shape for a compiling engine, of many shapes for a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from avseg.engines.ports import GraphPart, Port
from avseg.models.base import Model
from avseg.models.compiled import uncompiled
from avseg.models.seams import Tensors

MOST_GROUPS = 1024
"""Largest number of groups per call of a file."""
Problem = (RuntimeError, ValueError, TypeError, NotImplementedError, AssertionError, KeyError, AttributeError)
"""Errors of tracing and translation."""


class Traced(nn.Module):
    """A part of a model with tensors in and tensors out."""

    def __init__(self, model: Model[Any], name: str) -> None:
        super().__init__()
        attribute, _, self.method = name.partition(".")
        self.part = uncompiled(getattr(model, attribute))
        self.traced = model.seams[name].traced

    def forward(self, *tensors: Tensor) -> Tensors:
        """Run the seam's `traced`."""
        part: Callable[..., Any] = getattr(self.part, self.method) if self.method else self.part
        return self.traced(part, *tensors)


def of_shape(model: Model[Any], name: str, example: Sequence[Tensor]) -> ExportedProgram:
    """Return the graph of a part for tensors of these shapes only.

    Raises:
        ValueError: `torch.export` cannot follow the part.
    """
    given = tuple(torch.empty_like(one).copy_(one) for one in example)
    try:
        with torch.no_grad():
            return export(Traced(model, name).eval(), given, strict=False)
    except Problem as error:
        raise ValueError(_refused(model, name, error)) from error


def of_any_shape(model: Model[Any], part: GraphPart, *, sizes: bool = True) -> ExportedProgram:
    """Return the graph of a part for any number of groups, with other axes variable where the part allows it.

    Args:
        model: in evaluation mode.
        part: of it.
        sizes: False: only the number of groups varies.

    Raises:
        ValueError: `torch.export` cannot follow the part.
    """
    groups = Dim("groups", min=1, max=MOST_GROUPS)
    dims = tuple(_dims(port, groups, sizes) for port in part.inputs)
    try:
        with torch.no_grad():
            return export(Traced(model, part.name).eval(), part.example, dynamic_shapes=(dims,), strict=False)
    except Problem as error:
        raise ValueError(_refused(model, part.name, error)) from error


def _dims(port: Port, groups: Any, sizes: bool) -> dict[int, Any]:
    varying: dict[int, Any] = {axis: Dim.AUTO for axis in port.varies if sizes}
    return {**varying, **({0: port.rows * groups} if port.rows else {})}


def _refused(model: Model[Any], name: str, error: Exception) -> str:
    whose = f"{name} of this {model.config.family} model"
    return f"torch.export cannot trace {whose} ({first_line(error)}); use engine torch"


def first_line(error: Exception) -> str:
    """Return the first line of a library's error, without the place in its source."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("Exception from ")]
    return shorten(lines[0], 200) if lines else type(error).__name__
