"""Where an engine can take the place of PyTorch inside a model: at calls of parts with tensors in and tensors out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from avseg.models.compiled import uncompiled

Tensors = tuple[Tensor, ...]
Runner = Callable[..., Tensors]
"""Tensors in, tensors out."""
M = TypeVar("M", bound=nn.Module)


def first_tensor(part: Callable[..., Any], *tensors: Tensor) -> Tensors:
    """A seam of a part that returns a tensor, or several outputs of which predictions need the first."""
    output = part(*tensors)
    while not isinstance(output, Tensor):
        output = output[0]
    return (output,)


def first_answer(run: Runner, *given: Tensor | None) -> Any:
    """For a part that gives a tensor and takes nothing else; what it is given as None is left out."""
    return run(*(one for one in given if one is not None))[0]


@dataclass(frozen=True)
class Seam:
    """One call of a part of a model."""

    traced: Callable[..., Tensors] = first_tensor
    """(part, *tensors) -> tensors: what an engine computes. All frames exist; nothing here depends on the values of
    tensors."""
    answer: Callable[..., Any] = first_answer
    """(run, *arguments) -> the part's output, by calls of `run`, which computes `traced` without its first argument. It
    gets the arguments that the model calls the part with. What predictions do not need may be left empty."""
    outputs: tuple[str, ...] = ("output",)
    """Names of what `traced` gives, for exported files."""
    inputs: tuple[str, ...] = ()
    """Names of its tensors; empty: those of the part's own parameters."""
    apart: bool = True
    """Whether the first axis of all tensors counts groups that do not see each other, so that they can be computed some
    at a time. Otherwise engines take the part of a file alone; of a model PyTorch computes it."""
    decides: bool = False
    """Whether it compares numbers with thresholds, as masked attention does. Rounding then moves a few outputs far."""


DEFAULT_SEAMS: Mapping[str, Seam] = {"network": Seam(outputs=("logits",)), "audio_network": Seam(outputs=("vectors",))}
"""By the attribute of the model; a name behind a dot is a method of it, which stands in for `forward`."""


def called(model: nn.Module, name: str) -> Callable[..., Any] | None:
    """Return the object of a seam's name in a model: `network`, or a method as in `network.look`; None where there
    is none.
    """
    attribute, _, method = name.partition(".")
    part = getattr(model, attribute, None)
    if not isinstance(part, nn.Module):
        return None
    part = uncompiled(part)
    found: Callable[..., Any] = getattr(part, method) if method else part
    return found


def with_runners(model: M, seams: Mapping[str, Seam], runners: Mapping[str, Runner]) -> M:
    """A copy of the model that shares its weights and calls `runners` at the seams of their names.

    The model itself stays as it is.
    """
    twin = _twin(model)
    changed: dict[str, nn.Module] = {}
    for name, run in runners.items():
        attribute, _, method = name.partition(".")
        if attribute not in changed:
            changed[attribute] = twin._modules[attribute] = _twin(uncompiled(getattr(model, attribute)))
        part = changed[attribute]
        object.__setattr__(part, method or "forward", _Answering(seams[name].answer, run))
    return twin


@dataclass(frozen=True)
class _Answering:
    answer: Callable[..., Any]
    run: Runner

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.answer(self.run, *arguments, **named)


def _twin(module: M) -> M:
    """A shallow copy with a table of parts of its own."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = dict(module._modules)
    return twin
