"""Models inside torch.compile, whole or in part: files, fingerprints and names are those of the plain model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from avseg.inference import Segmenter
from avseg.models import FAMILIES, build_model, load_model, read_header, save_model
from avseg.models.base import Model, load_plain, plain_name, plain_state, run_buffers
from avseg.models.files import load_strictly
from avseg.models.first_weights import initialise
from avseg.types import Task
from models.small import SEMANTIC, batch, clip, small_model
from small import small_config


def whole(model: Any) -> Any:
    return torch.compile(model, backend="eager")


def in_parts(model: Any) -> Any:
    """The network, and a part inside of it."""
    model.network.backbone = torch.compile(model.network.backbone, backend="eager")
    model.network = torch.compile(model.network, backend="eager")
    return model


def twice(model: Any) -> Any:
    return whole(in_parts(model))


COMPILED = pytest.mark.parametrize("compiled", [whole, in_parts, twice])
Compiled = Callable[[Any], Any]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@COMPILED
def test_a_file_of_a_compiled_model_is_that_of_the_plain_one(compiled: Compiled, tmp_path: Path) -> None:
    plain = save_model(small_model(), tmp_path / "plain.safetensors")
    path = save_model(compiled(small_model()), tmp_path / "compiled.safetensors")
    assert same(load_file(path), load_file(plain)) and read_header(path) == read_header(plain)
    b = batch(clip())
    assert torch.equal(load_model(path).predict(b)[0].logits, small_model().predict(b)[0].logits)


@COMPILED
def test_a_compiled_model_takes_the_weights_of_a_file(compiled: Compiled, tmp_path: Path) -> None:
    path = save_model(small_model(), tmp_path / "model.safetensors")
    model = small_model()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    model = compiled(model)
    load_strictly(model, load_file(path), "the file")
    assert same(plain_state(model), small_model().state_dict())
    wrong = {"x": torch.zeros(1), "audio_network.project.bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unknown: x; 1 tensor\(s\) misshaped: audio_network.project.bias \(1,\)"):
        load_strictly(model, {**load_file(path), **wrong}, "the file")


@COMPILED
def test_the_fingerprint_does_not_tell_that_a_model_is_compiled(compiled: Compiled) -> None:
    assert Segmenter(compiled(small_model())).describe() == Segmenter(small_model()).describe()


@pytest.mark.parametrize("family", [name for name in FAMILIES if FAMILIES[name].model_class().trains])
def test_a_compiled_network_has_the_same_parts(family: str) -> None:
    """A recipe gives each its rate."""
    tasks = {"instance": Task("instance", ("dog",)), "semantic": SEMANTIC, "binary": Task("binary")}
    solved = FAMILIES[family].model_class().tasks
    model = build_model(small_config(family), next(task for kind, task in tasks.items() if kind in solved))
    wanted = {name: [id(parameter) for parameter in part] for name, part in model.param_groups().items()}
    parts = in_parts(model).param_groups()
    assert {name: [id(parameter) for parameter in part] for name, part in parts.items()} == wanted


@COMPILED
def test_a_compiled_model_begins_from_the_weights_of_another(compiled: Compiled, tmp_path: Path) -> None:
    path = save_model(small_model(), tmp_path / "model.safetensors")
    model = small_model()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    model = compiled(model)
    assert initialise(model, model_file=path) == []
    assert same(plain_state(model), small_model().state_dict())


def test_names_lose_the_wrapper_wherever_it_stands() -> None:
    assert plain_name("_orig_mod.network._orig_mod.backbone.conv.weight") == "network.backbone.conv.weight"
    assert plain_name("network.a_orig_mod.weight") == "network.a_orig_mod.weight"


def test_states_with_wrappers_in_their_names_are_taken() -> None:
    """Such as checkpoints written before names were made plain."""
    source, target = whole(nn.Linear(2, 2)), nn.Linear(2, 2)
    load_plain(target, source.state_dict())
    assert same(target.state_dict(), plain_state(source))
    with pytest.raises(RuntimeError, match="Missing"):
        load_plain(whole(target), {"weight": torch.zeros(2, 2)})


class WithBank(nn.Module):
    run_state = ("bank.",)

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.bank = nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False)


def test_buffers_of_a_run_are_known_inside_the_wrapper() -> None:
    model = WithBank()
    wanted = {"bank.running_mean", "bank.running_var", "bank.num_batches_tracked"}
    assert run_buffers(model) == run_buffers(whole(model)) == wanted
    model.bank = torch.compile(model.bank, backend="eager")  # type: ignore[assignment]
    assert run_buffers(model) == wanted
    load_strictly(model, {"layer.weight": torch.ones(2, 2), "layer.bias": torch.ones(2)}, "the file")
    assert bool((model.layer.weight == 1).all())
    assert isinstance(small_model(), Model) and run_buffers(small_model()) == set()
