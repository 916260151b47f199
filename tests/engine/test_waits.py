"""The training loop does not wait for the device, whatever the family, but where a matching is made on the host."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.data.base import ClipDataset
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.engine.training import train as loop
from avseg.losses import points
from avseg.models import FAMILIES, build_model
from avseg.models.avism import criterion
from avseg.types import Batch, Clip, Task
from contract.clips import random_clip
from small import small_config
from waits import DEVICE, on_device, waits

TASKS = {
    "instance": Task("instance", ("dog", "guitar")),
    "semantic": Task("semantic", ("dog", "guitar")),
    "binary": Task("binary"),
}
CLASSES = {family: FAMILIES[family].model_class() for family in FAMILIES}
FAMILY_TASKS = [(f, kind) for f, model in CLASSES.items() if model.trains for kind in sorted(model.tasks)]
WHOLE = [("avism", "instance"), ("qdformer", "semantic"), ("tpavi", "binary")]
"""Also tried on clips of one length whose frames all have labels."""
MATCHED = {"avism": 2, "qdformer": 1}
"""Matchings of a step: queries and objects are matched by scipy, on the host."""


class Clips(ClipDataset):
    """Six clips, of which the last have labels for some frames alone."""

    suite = "avsbench_object"

    def __init__(self, task: Task, size: int, uneven: bool) -> None:
        self.task, self.size, self.uneven = task, size, uneven
        self.config = data_config("synth")
        self.ids = [f"clip{i}" for i in range(6)]

    def __getitem__(self, index: int) -> Clip:
        frames = 5 - 2 * (index % 2) if self.uneven else 5
        return random_clip(self.task, index, frames, annotated=frames - 1 if self.uneven else None, size=self.size)


def uniform(groups: int, points: int, generator: torch.Generator) -> Tensor:
    return torch.rand(groups, points, 2, generator=generator, device=DEVICE)


def waited(family: str, kind: str, folder: Path, uneven: bool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the third step of a run waits."""
    torch.manual_seed(0)
    model = build_model(small_config(family), TASKS[kind])
    found: list[str] = []

    def watched(method: Any) -> Any:
        def call(self: Any, *arguments: Any) -> None:
            step = self.state.position.step
            with waits() if step else nullcontext([]) as places:  # step 1 for what is kept from then on
                method(self, *arguments)
            found.extend(places if step == 2 else [])

        return call

    monkeypatch.setattr(Batch, "to", lambda batch, device: on_device(batch))
    monkeypatch.setattr(loop, "train_transforms", lambda *_: [])
    monkeypatch.setattr(loop, "is_due", lambda *_: False)  # of a short run every step is told
    for module in (points, criterion):  # a generator of cpu:0 says that it is one of cpu
        monkeypatch.setattr(module, "uniform_points", uniform)
    for name in ("_backward", "_step"):
        monkeypatch.setattr(loop._Run, name, watched(getattr(loop._Run, name)))
    plain = TrainConfig(steps=4, batch_size=2, workers=0, log_every=100, ema=0.9)
    recipe = Recipe(small_config(family), data_config("synth"), OptimConfig(lr=1e-4, clip_norm=1.0), plain)
    size = model.config.input.fitted((64, 64))[0]
    loop.train(model, Clips(TASKS[kind], size, uneven), None, recipe, folder)
    return found


@pytest.mark.parametrize(
    ("family", "kind", "uneven"), [*((*one, True) for one in FAMILY_TASKS), *((*one, False) for one in WHOLE)]
)
def test_a_step_waits_for_its_matchings_alone(
    family: str, kind: str, uneven: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = waited(family, kind, tmp_path, uneven, monkeypatch)
    places = Counter(place.split(": ")[0] for place in found)
    costs = [place for place in found if place == "losses/matching.py:match: cpu"]
    assert len(costs) == MATCHED.get(family, 0), found
    assert set(places) <= {"losses/matching.py:match", "host.py:on_host"}, found
    assert places["host.py:on_host"] <= MATCHED.get(family, 0), found


def test_what_waits_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, mask = torch.arange(3.0), torch.tensor([True, False, True])
    with waits() as found:
        numbers.sum().item()
        numbers[mask]
        torch.tensor([1.0], device="cpu:0")
        torch.nn.functional.one_hot(torch.tensor([0, 1]).to("cpu:0"))
        torch.tensor([1.0, 2.0]).tolist()
    assert [place.rpartition(": ")[2] for place in found if not place.startswith("kernel")] == [
        *("item", "__getitem__", "tensor")
    ]
    assert any(place.startswith("kernel") for place in found)
