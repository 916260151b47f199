"""Modules inside `torch.compile`, whole or in part, under the names of the plain ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

_COMPILED = "_orig_mod"
"""The prefix of `torch.compile` in the names of the wrapped module."""


def uncompiled(module: M) -> M:
    """The module inside `torch.compile`'s wrapper, which passes for it; any other as it is."""
    inner: M | None = module
    while inner is not None:
        module, inner = inner, getattr(inner, _COMPILED, None)
    return module


def plain_name(name: str) -> str:
    """The name of a tensor or part without the wrappers of `torch.compile`, wherever they stand."""
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def plain_state(module: nn.Module) -> dict[str, Tensor]:
    """Its state dict with the names that it has where nothing is compiled: what files and comparisons go by."""
    return {plain_name(name): tensor for name, tensor in module.state_dict().items()}


def load_plain(module: nn.Module, state: Mapping[str, Tensor], strict: bool = True) -> None:
    """`load_state_dict` between modules that may be compiled, or in part, on either side.

    Raises:
        RuntimeError: tensors that do not fit, and if `strict` missing or unknown ones.
    """
    own = {plain_name(name): name for name in module.state_dict()}
    named = {own.get(plain_name(name), name): tensor for name, tensor in state.items()}
    module.load_state_dict(named, strict=strict)


@dataclass(eq=False)
class CompiledCall:
    """Stands for a call of a part of a model: compiled while the model trains, as it was otherwise."""

    model: nn.Module
    owner: nn.Module
    method: str
    plain: Callable[..., Any]
    compiled: Callable[..., Any]
    always: bool = False
    used: bool = False
    """Whether what is compiled was called."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not (self.always or self.model.training):
            return self.plain(*arguments, **named)
        self.used = True
        return self.compiled(*arguments, **named)


@contextmanager
def compiled_calls(
    model: nn.Module,
    names: Sequence[str],
    *,
    graphs: bool = False,
    always: bool = False,
    backend: str | Callable[..., Any] = "inductor",
) -> Iterator[list[CompiledCall]]:
    """For the length of the block, calls of some parts of a model are compiled while it trains.

    No part is wrapped and no name changes, and evaluation, whose shapes are others, runs as always. The first shape
    that comes is compiled for itself; where later ones differ, PyTorch compiles once more for changing sizes.

    Args:
        model: has the parts.
        names: `network`, or `network.encoder`, a part of it, or `network.look`, a method. Parts that are None are left
            out.
        graphs: record what is compiled as CUDA graphs, one for each shape.
        always: evaluation is compiled too.
        backend: of `torch.compile`.

    Raises:
        ValueError: no part to compile, or one that the model does not have.
    """
    options: dict[str, Any] = {"dynamic": False, "mode": "reduce-overhead"} if graphs else {}
    model = uncompiled(model)
    calls = []
    for owner, method in filter(None, (_place(model, name) for name in names)):
        plain = getattr(owner, method)
        compiled = torch.compile(plain, backend=backend, **options)
        calls.append(CompiledCall(model, owner, method, plain, compiled, always))
    if not calls:
        raise ValueError(
            f"train.compile is on, and {type(model).__name__} names nothing to compile (Model.compiles); leave it out"
        )
    for call in calls:
        object.__setattr__(call.owner, call.method, call)
    try:
        yield calls
    finally:
        for call in calls:
            object.__delattr__(call.owner, call.method)


def _place(model: nn.Module, name: str) -> tuple[nn.Module, str] | None:
    """The module and its method that a name means; None where there is no such part."""
    *inside, last = name.split(".")
    try:
        owner = model
        for part in inside:
            owner = getattr(owner, part)
            if owner is None:
                return None
            owner = uncompiled(owner)
        found = getattr(owner, last)
    except AttributeError:
        raise ValueError(
            f"{type(model).__name__} has no {name!r} to compile; mend its `compiles`, or leave train.compile out"
        ) from None
    if found is None:
        return None
    return (uncompiled(found), "forward") if isinstance(found, nn.Module) else (owner, last)
