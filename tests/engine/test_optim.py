"""Parts, rates and the moving average of weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.layers import LayerNorm2d
from timm.models.swin_transformer import WindowAttention
from torch import nn

from avseg.engine.config import GroupConfig, OptimConfig
from avseg.engine.training.optim import CombinedOptimizer, MovingAverage, build_optimizer, rate_factor, set_rates


def two_parts() -> tuple[nn.Module, dict[str, list[nn.Parameter]]]:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    body = [*model[0].parameters(), *model[1].parameters()]
    return model, {"body": body, "head": list(model[2].parameters())}


def test_each_part_has_its_own_settings() -> None:
    model, parts = two_parts()
    config = OptimConfig(
        algorithm="adamw",
        lr=1e-3,
        weight_decay=0.1,
        schedule="poly",
        parts={"head": GroupConfig(lr=1e-2, weight_decay=0.0, schedule="constant")},
    )
    optimizer = build_optimizer(model, parts, config)
    body, head = optimizer.param_groups
    assert (body["name"], body["base_lr"], body["weight_decay"], body["schedule"]) == ("body", 1e-3, 0.1, "poly")
    assert (head["name"], head["base_lr"], head["weight_decay"], head["schedule"]) == ("head", 1e-2, 0.0, "constant")
    rates = set_rates(optimizer, 50, 100, config)
    assert rates == {"body": pytest.approx(1e-3 * 0.5**0.9), "head": 1e-2}
    assert body["lr"] == rates["body"]


def test_frozen_parameters_are_left_out() -> None:
    model, parts = two_parts()
    model[0].requires_grad_(False)
    optimizer = build_optimizer(model, parts, OptimConfig())
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        build_optimizer(model, parts, OptimConfig())


def test_every_parameter_belongs_to_one_part() -> None:
    model, parts = two_parts()
    with pytest.raises(ValueError, match=r"parameter '2.weight' is missing from param_groups"):
        build_optimizer(model, {"body": parts["body"]}, OptimConfig())
    with pytest.raises(ValueError, match="is in two of the parts"):
        build_optimizer(model, {**parts, "again": parts["head"]}, OptimConfig())
    with pytest.raises(ValueError, match=r"optim.parts names 'haed'.*did you mean 'head'"):
        build_optimizer(model, parts, OptimConfig(parts={"haed": GroupConfig()}))


@pytest.mark.parametrize("algorithm", ["adam", "adamw", "sgd"])
def test_every_algorithm_goes_downhill(algorithm: str) -> None:
    torch.manual_seed(0)
    model, parts = two_parts()
    optimizer = build_optimizer(model, parts, OptimConfig(algorithm=algorithm, lr=0.05))  # type: ignore[arg-type]
    x = torch.randn(16, 2)
    losses = []
    for _ in range(40):
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_rates_follow_their_formulas() -> None:
    config = OptimConfig(warmup_steps=4, schedule="poly", power=2.0)
    assert [rate_factor("constant", s, 24, config) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rate_factor("poly", 14, 24, config) == 0.25
    assert rate_factor("cosine", 14, 24, config) == pytest.approx(0.5)
    assert rate_factor("cosine", 4, 24, config) == 1.0


CAVP = OptimConfig(
    algorithm="sgd",
    lr=1e-3,
    weight_decay=1e-2,
    schedule="poly",
    power=0.9,
    lag=1,
    floor=1e-8,
    parts={
        "body": GroupConfig(decay="weights"),
        "head": GroupConfig(algorithm="adam", lr=5e-3, weight_decay=0.0, schedule="constant"),
    },
)
"""As CAVP trains: its vision like `body`, its audio like `head`."""


def test_a_late_schedule_is_that_of_the_published_loop() -> None:
    """Written as published: the rate of iteration k is set after the step, so that the next one has it."""
    model, parts = two_parts()
    optimizer, total, base = build_optimizer(model, parts, CAVP), 7, 1e-3
    rates, now = [], base
    for iteration in range(total):
        rates.append(now)
        now = min(base, max(1e-8, base * (1 - iteration / total) ** 0.9))
    got = [set_rates(optimizer, step, total, CAVP) for step in range(total)]
    assert [row["body"] for row in got] == pytest.approx(rates, rel=1e-12)
    assert rates[0] == rates[1] == base and rates[2] < base
    assert {row["head"] for row in got} == {5e-3}


def test_rates_have_a_floor_in_proportion_to_the_base_rate() -> None:
    config = OptimConfig(lr=1e-3, schedule="poly", floor=1e-4, warmup_steps=1, parts={"head": GroupConfig(lr=1e-2)})
    model, parts = two_parts()
    optimizer = build_optimizer(model, parts, config)
    assert set_rates(optimizer, 100, 101, config) == {"body": pytest.approx(1e-4), "head": pytest.approx(1e-3)}
    assert set_rates(optimizer, 0, 101, config)["body"] == 1e-3
    with pytest.raises(ValueError, match=r"optim.floor is 0.1, above optim.lr 0.001"):
        OptimConfig(lr=1e-3, floor=0.1)
    with pytest.raises(ValueError, match=r"optim.lag is -1"):
        OptimConfig(lag=-1)


def test_a_part_may_decay_its_weights_alone() -> None:
    model, parts = two_parts()
    groups = build_optimizer(model, parts, CAVP).param_groups
    assert [(g["name"], g["weight_decay"], [p.ndim for p in g["params"]]) for g in groups] == [
        ("body", 1e-2, [2]),
        ("body", 0.0, [1, 1, 1]),
        ("head", 0.0, [2, 1]),
    ]
    everywhere = build_optimizer(model, parts, OptimConfig(weight_decay=0.1, decay="weights")).param_groups
    assert [g["weight_decay"] for g in everywhere] == [0.1, 0.0, 0.1, 0.0]
    model[0].weight.requires_grad_(False)
    assert [len(g["params"]) for g in build_optimizer(model, parts, CAVP).param_groups] == [3, 2]


def test_one_step_is_that_of_either_algorithm_alone() -> None:
    """Bit for bit: the body as torch's SGD moves it, the head as its Adam does."""
    torch.manual_seed(0)
    model, parts = two_parts()
    twin, _ = two_parts()
    twin.load_state_dict(model.state_dict())
    combined = build_optimizer(model, parts, CAVP)
    assert isinstance(combined, CombinedOptimizer)
    body = [*twin[0].parameters(), *twin[1].parameters()]
    sgd = torch.optim.SGD([{"params": body[:1], "weight_decay": 1e-2}, {"params": body[1:]}], lr=1e-3, momentum=0.9)
    adam = torch.optim.Adam(twin[2].parameters(), lr=5e-3, fused=True)
    for _ in range(3):
        x = torch.randn(8, 2)
        for network, optimizers in ((model, [combined]), (twin, [sgd, adam])):
            network(x).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_the_state_of_several_optimisers_is_saved_and_loaded_as_one() -> None:
    torch.manual_seed(0)
    model, parts = two_parts()
    optimizer = build_optimizer(model, parts, CAVP)
    xs = [torch.randn(8, 2) for _ in range(4)]

    def run(upon: nn.Module, by: torch.optim.Optimizer, inputs: list[torch.Tensor]) -> None:
        for x in inputs:
            by.zero_grad()
            upon(x).square().mean().backward()
            by.step()

    run(model, optimizer, xs[:2])
    state, weights = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(model.state_dict())
    assert [set(values) for values in state["state"].values()] == [{"momentum_buffer"}] * 4 + [
        {"step", "exp_avg", "exp_avg_sq"}
    ] * 2
    run(model, optimizer, xs[2:])
    again, its_parts = two_parts()
    again.load_state_dict(weights)
    other = build_optimizer(again, its_parts, CAVP)
    other.load_state_dict(state)
    run(again, other, xs[2:])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_the_average_follows_its_formula_and_gives_the_weights_back() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1), nn.BatchNorm1d(1))
    model[1].requires_grad_(False)
    nn.init.constant_(model[0].weight, 0.0)
    average = MovingAverage(model, 0.15)
    assert "1.weight" not in average.shadow
    expected = 0.0
    for value, decay in ((1.0, 0.1), (3.0, 0.15)):
        nn.init.constant_(model[0].weight, value)
        model[2].num_batches_tracked.add_(1)  # type: ignore[operator, union-attr]
        average.update(model)
        expected = decay * expected + (1 - decay) * value
    assert average.shadow["2.num_batches_tracked"] == 2
    with average.applied(model):
        assert model[0].weight.item() == pytest.approx(expected)
    assert model[0].weight.item() == 3.0
    again = MovingAverage(model, 0.15)
    again.load_state_dict(average.state_dict())
    assert again.updates == 2 and torch.equal(again.shadow["0.weight"], average.shadow["0.weight"])


def test_rates_fall_at_the_milestones() -> None:
    config = OptimConfig(lr=1e-4, schedule="steps", milestones=(3, 5))
    factors = [rate_factor("steps", step, 7, config) for step in range(7)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-12)
    halved = OptimConfig(schedule="steps", milestones=(1,), drop=0.5, warmup_steps=2)
    assert [rate_factor("steps", step, 4, halved) for step in range(4)] == [0.5, 1.0, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"schedule is 'steps' without optim.milestones"):
        OptimConfig(parts={"head": GroupConfig(schedule="steps")})
    with pytest.raises(ValueError, match=r"milestones are \(-1,\)"):
        OptimConfig(schedule="steps", milestones=(-1,))


class _Mixed(nn.Module):
    """One layer of each kind that decay looks at, and what no kind tells."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), LayerNorm2d(4)])
        self.queries = nn.Embedding(5, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.window = WindowAttention(4, num_heads=2, window_size=2)
        self.level_embed = nn.Parameter(torch.zeros(3, 4))


def test_norms_embeddings_and_position_tables_may_be_spared() -> None:
    model = _Mixed()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    config = OptimConfig(algorithm="adamw", weight_decay=0.05, decay="layers")
    decaying, spared = build_optimizer(model, {"all": list(model.parameters())}, config).param_groups
    assert (decaying["weight_decay"], spared["weight_decay"]) == (0.05, 0.0)
    assert {names[id(p)] for p in spared["params"]} == {
        *(f"norms.{k}.{name}" for k in range(4) for name in ("weight", "bias")),
        *("queries.weight", "window.relative_position_bias_table"),
    }
    whole = {names[id(p)] for p in decaying["params"]}
    assert {"conv.bias", "level_embed", "attention.in_proj_bias", "window.qkv.bias", "window.proj.weight"} <= whole
    assert len(whole) + 10 == len(names)


@pytest.mark.parametrize(
    ("idle", "owner"),
    [
        ({"momentum": 0.5}, {"algorithm": "sgd"}),
        ({"algorithm": "sgd", "betas": (0.5, 0.9)}, {"algorithm": "adamw"}),
        ({"power": 2.0}, {"schedule": "poly"}),
        ({"drop": 0.5}, {"schedule": "steps", "milestones": (3,)}),
    ],
)
def test_figures_of_what_no_part_has_are_refused(idle: dict[str, Any], owner: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no part of the model"):
        OptimConfig(**idle)
    OptimConfig(**{**idle, **owner})
    if "milestones" not in owner:  # it is enough that one part has it
        OptimConfig(**idle, parts={"head": GroupConfig(**owner)})
