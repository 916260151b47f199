"""Optimisers by the named parts of a model, the rate at every step, and the moving average of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from avseg.config import did_you_mean
from avseg.engine.config import GroupConfig, OptimConfig
from avseg.engine.sharded import gathered, own_part, spread

Parts = Mapping[str, Sequence[nn.Parameter]]


def build_optimizer(model: nn.Module, parts: Parts, config: OptimConfig) -> torch.optim.Optimizer:
    """One parameter group for each named part; each group carries `name`, `base_lr` and `schedule`.

    Args:
        model: whose trainable parameters must all be in one part, once.
        parts: as `Model.param_groups` returns them; frozen parameters in them are left out.

    Raises:
        ValueError: a part in `config.parts` that the model does not have, or a parameter in no part or in two.
    """
    for name in config.parts:
        if name not in parts:
            raise ValueError(f"optim.parts names {name!r}, which the model does not have; {did_you_mean(name, parts)}")
    _check_parts(model, parts)
    groups = []
    for name, parameters in parts.items():
        trainable = [p for p in parameters if p.requires_grad]
        if trainable:
            groups.append({"params": trainable, **_group(name, config)})
    if not groups:
        raise ValueError("the model has no parameter that requires a gradient; there is nothing to train")
    return _algorithm(groups, config)


def _check_parts(model: nn.Module, parts: Parts) -> None:
    listed = [id(p) for parameters in parts.values() for p in parameters if p.requires_grad]
    if len(set(listed)) < len(listed):
        raise ValueError(f"a parameter stands in two of the parts {', '.join(parts)}; param_groups must list each once")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in set(listed):
            raise ValueError(f"parameter {name!r} is in no part of param_groups; list or freeze it")


def _group(name: str, config: OptimConfig) -> dict[str, object]:
    own = config.parts.get(name, GroupConfig())
    lr = config.lr if own.lr is None else own.lr
    decay = config.weight_decay if own.weight_decay is None else own.weight_decay
    return {
        "name": name,
        "lr": lr,
        "base_lr": lr,
        "weight_decay": decay,
        "schedule": own.schedule or config.schedule,
    }


def _algorithm(groups: list[dict[str, object]], config: OptimConfig) -> torch.optim.Optimizer:
    if config.algorithm == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    kind = torch.optim.AdamW if config.algorithm == "adamw" else torch.optim.Adam
    # The fused kernel saves a tenth of a second a step on a CPU; on a GPU torch picks its own best.
    on_cpu = all(p.device.type == "cpu" for group in groups for p in group["params"])  # type: ignore[attr-defined]
    return kind(groups, lr=config.lr, betas=config.betas, fused=True if on_cpu else None)


def rate_factor(schedule: str, step: int, total: int, config: OptimConfig) -> float:
    """What the base rate is multiplied by at `step` (from 0) of `total`.

    A linear warm-up reaches 1 after `warmup_steps`; then `constant` is 1, `poly` is (1 - x)^power and `cosine` is
    (1 + cos(pi x)) / 2, x being the share of the remaining steps that is done.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    if schedule == "poly":
        return float((1 - done) ** config.power)
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    return 1.0


def set_rates(optimizer: torch.optim.Optimizer, step: int, total: int, config: OptimConfig) -> dict[str, float]:
    """Give every group its rate of this step; the rates by part. They follow the step alone and have no state."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * rate_factor(group["schedule"], step, total, config)
    return {group["name"]: group["lr"] for group in optimizer.param_groups}


class MovingAverage:
    """An exponential moving average of trained parameters and floating-point buffers; other buffers are copied.

    The decay of update n is min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"train.ema is {decay}, wanted a decay between 0 and 1, such as 0.999")
        self.decay, self.updates = decay, 0
        frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
        self.names = [name for name in model.state_dict() if name not in frozen]
        self.shadow = self._copy(model)

    def _copy(self, model: nn.Module) -> dict[str, Tensor]:
        current = model.state_dict()
        return {name: current[name].detach().clone() for name in self.names}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's weights by one step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        current = model.state_dict()
        smooth = [name for name in self.names if current[name].is_floating_point()]
        torch._foreach_lerp_(
            [own_part(self.shadow[n]) for n in smooth], [own_part(current[n]) for n in smooth], 1 - decay
        )
        for name in set(self.names) - set(smooth):
            self.shadow[name].copy_(current[name])

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model with the averaged weights, for the length of the block."""
        own = self._copy(model)
        _put(model, self.shadow)
        try:
            yield
        finally:
            _put(model, own)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "shadow": {name: gathered(value) for name, value in self.shadow.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        for name, value in state["shadow"].items():
            self.shadow[name].copy_(spread(value, self.shadow[name]))


@torch.no_grad()
def _put(model: nn.Module, values: dict[str, Tensor]) -> None:
    current = model.state_dict()
    for name, value in values.items():
        current[name].copy_(value)
