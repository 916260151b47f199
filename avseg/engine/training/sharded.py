"""The whole state of a model and its optimiser, wherever its parts lie (FSDP2 shards them over the processes)."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from avseg.models.base import Model, load_plain, plain_state, uncompiled

M = TypeVar("M", bound=Model[Any])
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def whole_state(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, Any]]:
    """State of model and optimiser; under FSDP2 it is gathered into the first process and empty in the others."""
    if accelerator.is_fsdp2:
        return get_state_dict(model, _bare(optimizer), options=WHOLE)
    return plain_state(model), optimizer.state_dict()


def load_whole_state(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Put back `state["model"]` and `state["optimizer"]`; every process has read them."""
    if accelerator.is_fsdp2:
        set_model_state_dict(model, state["model"], options=StateDictOptions(full_state_dict=True))
        # A parameter that no step has used has no state to be loaded.
        lenient = StateDictOptions(full_state_dict=True, strict=False)
        set_optimizer_state_dict(model, _bare(optimizer), state["optimizer"], options=lenient)
    else:
        load_plain(model, state["model"])
        _bare(optimizer).load_state_dict(state["optimizer"])


def gathered_model(accelerator: Accelerator, model: M) -> M:
    """The model itself, or under FSDP2 an unsharded copy of it (in the first process alone)."""
    if not accelerator.is_fsdp2:
        return model
    state: dict[str, Any] = get_model_state_dict(model, options=WHOLE)
    if not accelerator.is_main_process:
        return model
    copy = type(uncompiled(model))(model.config, model.task)
    load_plain(copy, state)
    copy.descent = model.descent
    return copy


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a sharded tensor, in every process; any other tensor as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a sharded tensor, sharing its memory; any other tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def spread(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor sharded as `like` is, if it is."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def _bare(optimizer: Any) -> torch.optim.Optimizer:
    """The optimiser inside Accelerate's."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner
