"""The training objective: a model with its losses as one forward pass."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import nn

from avseg.models.base import plain_name, run_buffers
from avseg.types import Batch


class Objective(nn.Module):
    """A model and its losses as one forward pass, which is what DDP and FSDP wrap.

    The model runs under autocast where the precision asks for it; the losses never do: Accelerate turns outputs back to
    float32 only in tensors, tuples and dicts, and the outputs of our families are dataclasses.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.measures: dict[str, torch.Tensor] = {}
        """Measures of the latest batch (`Model.measures`); not an output of `forward`, which DDP searches for
        gradients.
        """
        of_run = run_buffers(model)
        # DDP reads this: every process keeps its own.
        self._ddp_params_and_buffers_to_ignore = [
            f"model.{name}" for name, _ in sorted(model.named_buffers()) if plain_name(name) in of_run
        ]

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        output = self.model(batch)
        with torch.autocast(batch.frames.device.type, enabled=False):
            output = in_float32(output)
            terms: dict[str, torch.Tensor] = self.model.losses(output, batch)  # type: ignore[operator]
            with torch.no_grad():
                self.measures = self.model.measures(output)  # type: ignore[operator]
        return terms


def in_float32(value: Any) -> Any:
    """Copy nested dataclasses, dicts, lists and tuples with half-precision tensors converted to float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: in_float32(getattr(value, f.name)) for f in fields(value) if f.init})
    if isinstance(value, dict):
        return {key: in_float32(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(in_float32, value))
    return type(value)(map(in_float32, value)) if isinstance(value, (list, tuple)) else value
