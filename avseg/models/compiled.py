"""Modules inside `torch.compile`, whole or in part, under the names of the plain ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

_COMPILED = "_orig_mod"
"""What `torch.compile` puts into the names of all that is in the module that it wraps."""


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
