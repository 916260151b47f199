"""Parts, rates and the moving average of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avseg.engine.config import GroupConfig, OptimConfig
from avseg.engine.optim import MovingAverage, build_optimizer, rate_factor, set_rates


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
    with pytest.raises(ValueError, match=r"parameter '2.weight' is in no part"):
        build_optimizer(model, {"body": parts["body"]}, OptimConfig())
    with pytest.raises(ValueError, match="stands in two of the parts"):
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
    config = OptimConfig(warmup_steps=4, power=2.0)
    assert [rate_factor("constant", s, 24, config) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rate_factor("poly", 14, 24, config) == 0.25
    assert rate_factor("cosine", 14, 24, config) == pytest.approx(0.5)
    assert rate_factor("cosine", 4, 24, config) == 1.0


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
