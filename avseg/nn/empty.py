"""Building modules whose weights are about to be loaded, without drawing random ones first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWS = {Tensor.normal_, Tensor.uniform_, Tensor.erfinv_}


class WithoutInitialisation(TorchFunctionMode):
    """Inside, normal and uniform draws in place leave what is there; most of building a big network is such draws."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in _DRAWS else func(*args, **(kwargs or {}))
