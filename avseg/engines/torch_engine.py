"""The PyTorch engine; half precision uses autocast, which keeps norms, softmax sums and losses in float32."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from avseg.engines.parts import ModelPart
from avseg.models.seams import Runner, Tensors

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def _takes_guards(program: Any) -> bool:
    """Whether this is PyTorch 2.9 or later."""
    return "check_guards" in inspect.signature(program.module).parameters


class TorchEngine:
    """Runs parts of models directly, and files of `torch.export`."""

    def __init__(self, precision: str, device: torch.device) -> None:
        """
        Raises:
            ValueError: a precision that is not for this device.
        """
        if precision == "fp16" and device.type == "cpu":
            raise ValueError("PyTorch supports fp16 only on a GPU; use precision bf16 or fp32")
        self.precision, self.device = precision, device
        self._opened: dict[str, Runner] = {}

    def of_part(self, part: ModelPart) -> Runner:
        """See `avseg.engines.parts.Engine`; nothing is traced."""
        return self._in_precision(part.run)

    def of_file(self, path: str, shaped: Tensors | None) -> Runner:
        """See `avseg.engines.parts.Engine`."""
        if path not in self._opened:
            program: Any = torch.export.load(path)
            # Its guards also refuse a single group, which it computes as any other number.
            module = program.module(check_guards=False) if _takes_guards(program) else program.module()
            self._opened[path] = self._in_precision(module.to(self.device))
        return self._opened[path]

    def _in_precision(self, run: Runner) -> Runner:
        """A part with products and convolutions in the engine's precision and float32 outputs."""

        def within(*tensors: Tensor) -> Tensors:
            half = DTYPES.get(self.precision)
            with torch.autocast(self.device.type, half or torch.bfloat16, enabled=half is not None):
                answers = run(*tensors)
            return tuple(answer.float() for answer in answers)

        return within
