"""`train.compile`: every family computes what it did, through compiled parts, and is saved under plain names."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.engine.config import TrainConfig
from avseg.models import FAMILIES, build_model, save_model
from avseg.models.compiled import compiled_calls
from avseg.types import Batch, Draw, Task
from contract.clips import random_clip
from small import small_config

TASKS = {
    "instance": Task("instance", ("dog", "guitar")),
    "semantic": Task("semantic", ("dog", "guitar")),
    "binary": Task("binary"),
}
LESS: dict[str, dict[str, Any]] = {
    "avism": {"frame_layers": 1, "clip_layers": 1, "object_layers": 1, "trained_layers": 1},
    "avsegformer": {"generator_layers": 1, "decoder_layers": 1},
    "catr": {"decoder_layers": 1},
    "qdformer": {"decoder_layers": 1},
}
"""Fewer layers, since every one of them is traced."""
TRAINED = [name for name in FAMILIES if FAMILIES[name].model_class().trains]


class Pooled(nn.Module):
    """A backbone of four operations in place of a hundred, for the sake of time."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels
        self.each = nn.ModuleList(nn.Conv2d(3, count, 1) for count in channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [F.relu(conv(F.avg_pool2d(images, 4 * 2**k))) for k, conv in enumerate(self.each)]


def model_and_batch(family: str) -> tuple[Any, Batch]:
    solved = FAMILIES[family].model_class().tasks
    task = next(task for kind, task in TASKS.items() if kind in solved)
    torch.manual_seed(0)
    model = build_model(small_config(family, **LESS.get(family, {})), task)
    model.network.backbone = Pooled(model.network.backbone.channels)
    model.train()
    batch = Batch.collate([random_clip(task, seed) for seed in range(2)])
    return model, replace(batch, draw=Draw(0, 0), index=[0, 1])


def step(model: Any, batch: Batch) -> dict[str, Tensor]:
    torch.manual_seed(1)
    terms: dict[str, Tensor] = model.losses(model(batch), batch)
    torch.stack(list(terms.values())).sum().backward()
    return terms


@pytest.mark.parametrize("family", TRAINED)
def test_every_family_trains_through_compiled_parts(family: str, tmp_path: Path) -> None:
    model, batch = model_and_batch(family)
    plain = copy.deepcopy(model)
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    names = list(model.state_dict())
    torch._dynamo.reset()
    with compiled_calls(model, model.compiles, backend=backend) as calls:
        terms = step(model, batch)
        assert all(call.used for call in calls) and len(graphs) >= len(calls)
        assert list(model.state_dict()) == names
        save_model(model, tmp_path / "compiled.safetensors")
        count = len(graphs)
        model.eval()
        model.predict(batch)
        assert len(graphs) == count, "evaluation is not compiled"
        model.train()
    wanted = step(plain, batch)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {name: float(term) for name, term in wanted.items()}, rel=1e-4
    )
    own = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(parameter.grad, own[name].grad, rtol=1e-3, atol=1e-4), name
    path = save_model(plain, tmp_path / "plain.safetensors")
    one, other = load_file(tmp_path / "compiled.safetensors"), load_file(path)
    assert one.keys() == other.keys() and all(torch.allclose(one[k], other[k], atol=1e-5) for k in one)


def test_calls_are_plain_again_after_the_block() -> None:
    model, _ = model_and_batch("avism")
    with compiled_calls(model, model.compiles, backend="eager"):
        assert "look" in vars(model.network)
    assert "look" not in vars(model.network) and "watch" not in vars(model.network)


def test_what_cannot_be_compiled_is_refused() -> None:
    model, _ = model_and_batch("tpavi")
    with pytest.raises(ValueError, match="names nothing to compile"), compiled_calls(model, ()):
        pass
    with pytest.raises(ValueError, match=r"has no 'network\.look' to compile"), compiled_calls(model, ["network.look"]):
        pass
    with pytest.raises(ValueError, match=r"needs train\.compile and train\.accumulate 1"):
        TrainConfig(cuda_graphs=True)
    with pytest.raises(ValueError, match=r"needs train\.compile and train\.accumulate 1"):
        TrainConfig(cuda_graphs=True, compile=True, accumulate=2)
