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
from avseg.engine.training.sharded import gathered, own_part, spread
from avseg.models.base import plain_name, plain_state, run_buffers

Parts = Mapping[str, Sequence[nn.Parameter]]

SPARED_LAYERS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.Embedding)
SPARED_NAMES = ("relative_position_bias_table",)
"""Name parts whose parameters `decay="layers"` excludes."""


def build_optimizer(model: nn.Module, parts: Parts, config: OptimConfig) -> torch.optim.Optimizer:
    """Each part's trainable parameters under its own algorithm, rate, decay and schedule.

    A part is one parameter group, or two where some of it does not decay; groups carry `name`, `base_lr` and
    `schedule`. Parts of one algorithm share one of torch's optimisers; of several, they stand in a `CombinedOptimizer`.

    Args:
        model: whose trainable parameters must all be in one part, once.
        parts: as `Model.param_groups` returns them; frozen parameters in them are left out.

    Raises:
        ValueError: a part in `config.parts` that the model does not have, or a parameter in no part or in two.
    """
    for name in config.parts:
        if name not in parts:
            raise ValueError(
                f"optim.parts names {name!r}, which is not a part of the model; {did_you_mean(name, parts)}"
            )
    _check_parts(model, parts)
    groups: dict[str, list[dict[str, Any]]] = {}
    spared = _spared(model)
    for name, parameters in parts.items():
        algorithm = config.parts.get(name, GroupConfig()).algorithm or config.algorithm
        groups.setdefault(algorithm, []).extend(_groups(name, parameters, config, spared))
    optimizers = [_algorithm(algorithm, its, config) for algorithm, its in groups.items() if its]
    if not optimizers:
        raise ValueError("the model has no parameter that requires a gradient; there is nothing to train")
    return optimizers[0] if len(optimizers) == 1 else CombinedOptimizer(optimizers)


def _check_parts(model: nn.Module, parts: Parts) -> None:
    listed = [id(p) for parameters in parts.values() for p in parameters if p.requires_grad]
    if len(set(listed)) < len(listed):
        raise ValueError(
            f"a parameter is in two of the parts {', '.join(parts)}; param_groups must list each parameter once"
        )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in set(listed):
            raise ValueError(f"parameter {name!r} is missing from param_groups; list or freeze it")


def _spared(model: nn.Module) -> set[int]:
    """Identities of the parameters that `decay="layers"` leaves as they are."""
    return {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, SPARED_LAYERS) or name in SPARED_NAMES
    }


def _groups(
    name: str, parameters: Sequence[nn.Parameter], config: OptimConfig, spared: set[int]
) -> list[dict[str, Any]]:
    """One group, or two where only some parameters decay: what decays, and what does not."""
    own = config.parts.get(name, GroupConfig())
    lr = config.lr if own.lr is None else own.lr
    rate = config.weight_decay if own.weight_decay is None else own.weight_decay
    facts = {"name": name, "lr": lr, "base_lr": lr, "schedule": own.schedule or config.schedule}
    trainable = [p for p in parameters if p.requires_grad]
    rule = own.decay or config.decay
    decays = [rule == "all" or (p.ndim > 1 if rule == "weights" else id(p) not in spared) for p in trainable]
    halves = ((rate, True), (0.0, False))
    groups = [(decay, [p for p, d in zip(trainable, decays, strict=True) if d is half]) for decay, half in halves]
    return [{"params": members, **facts, "weight_decay": decay} for decay, members in groups if members]


def _algorithm(algorithm: str, groups: list[dict[str, Any]], config: OptimConfig) -> torch.optim.Optimizer:
    if algorithm == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    kind = torch.optim.AdamW if algorithm == "adamw" else torch.optim.Adam
    # The fused kernel saves a tenth of a second a step on a CPU; on a GPU torch picks its own best.
    on_cpu = all(p.device.type == "cpu" for group in groups for p in group["params"])
    return kind(groups, lr=config.lr, betas=config.betas, fused=True if on_cpu else None)


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimisers of different parameters that step, save and load as one.

    Groups and state are the very objects of the members, and the state dict has the form of a single optimiser's: what
    looks after one (Accelerate, the fp16 scaler, FSDP2 with its sharded parameters, checkpoints) looks after all.
    """

    def __init__(self, members: Sequence[torch.optim.Optimizer]) -> None:
        self.members = list(members)
        super().__init__([group for member in members for group in member.param_groups], {})
        self._share()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Let every member step on the gradients that are there."""
        for member in self.members:
            member.step()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Give the members our state, and in their order as many groups as they had."""
        first = 0
        for member in self.members:
            after = first + len(member.param_groups)
            # torch's own way in: it also brings what an older torch has saved up to date.
            member.__setstate__({"state": self.state, "param_groups": self.param_groups[first:after]})
            first = after


def rate_factor(schedule: str, step: int, total: int, config: OptimConfig) -> float:
    """Return the factor of the base rate at `step` (from 0) of `total`.

    A linear warm-up reaches 1 after `warmup_steps`; then `constant` is 1, `poly` is (1 - x)^power and `cosine` is
    (1 + cos(pi x)) / 2, x being the share of the remaining steps that is done; `steps` is `drop` to the power of the
    `milestones` that are reached. With `lag` it is the factor of as many steps before, and at first that of step 0.
    After the warm-up it never falls below `floor` / `lr`.
    """
    step = max(step - config.lag, 0)
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, total - config.warmup_steps))
    factor = 1.0
    if schedule == "poly":
        factor = float((1 - done) ** config.power)
    elif schedule == "cosine":
        factor = (1 + math.cos(math.pi * done)) / 2
    elif schedule == "steps":
        factor = config.drop ** sum(step >= milestone for milestone in config.milestones)
    return min(1.0, max(factor, config.floor / config.lr)) if config.floor else factor


def set_rates(optimizer: torch.optim.Optimizer, step: int, total: int, config: OptimConfig) -> dict[str, float]:
    """Give every group its rate of this step; the rates by part. They follow the step alone and have no state."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * rate_factor(group["schedule"], step, total, config)
    return {group["name"]: group["lr"] for group in optimizer.param_groups}


class MovingAverage:
    """An exponential moving average of trained parameters and floating-point buffers; other buffers are copied.

    Buffers that belong to a run (`Model.run_state`) are no part of it: the model keeps its own throughout.

    The decay of update n is min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"train.ema is {decay}, wanted a decay between 0 and 1, such as 0.999")
        self.decay, self.updates = decay, 0
        frozen = {plain_name(name) for name, parameter in model.named_parameters() if not parameter.requires_grad}
        left_out = frozen | run_buffers(model)
        self.names = [name for name in plain_state(model) if name not in left_out]
        self.shadow = self._copy(model)

    def _copy(self, model: nn.Module) -> dict[str, Tensor]:
        current = plain_state(model)
        return {name: current[name].detach().clone() for name in self.names}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's weights by one step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        current = plain_state(model)
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
            own = self.shadow[plain_name(name)]
            own.copy_(spread(value, own))


@torch.no_grad()
def _put(model: nn.Module, values: dict[str, Tensor]) -> None:
    current = plain_state(model)
    for name, value in values.items():
        current[name].copy_(value)
