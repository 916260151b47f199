"""A model that begins from the file of another class list keeps all but the rows of other classes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.models import FAMILIES, build_model, initialise, load_model, save_model
from avseg.models.base import Model, plain_state, run_buffers
from avseg.models.transfer import PARTS, take_model_file
from avseg.types import Task
from small import small_config

OLD, NEW = ("dog", "guitar", "bell"), ("bell", "piano", "dog", "cat")
LEARNING = [name for name in FAMILIES if FAMILIES[name].model_class().trains]
CLASSES = [(f, k) for f in LEARNING for k in sorted(FAMILIES[f].model_class().tasks) if k != "binary"]
CAVP_DECODERS = [("deeplab", "test_resnet"), ("hrnet", "hrnet_w48"), ("ocr", "hrnet_w48")]


def made(family: str, task: Task, seed: int = 0, **changes: Any) -> Model[Any]:
    torch.manual_seed(seed)
    return build_model(small_config(family, **changes), task)


def sounding(family: str) -> dict[str, Any]:
    """Settings that give the family all layers that count classes."""
    fields = small_config(family).__dataclass_fields__
    return {"sounding_weight": 0.5} if "sounding_weight" in fields else {}


def of_classes(model: Model[Any]) -> set[str]:
    named = {f"{layer}.{part}" for layer in model.class_rows() for part in PARTS}
    return named & set(plain_state(model))


@pytest.mark.parametrize(("family", "kind"), CLASSES)
def test_families_name_every_tensor_whose_shape_follows_the_classes(family: str, kind: str) -> None:
    few, many = (made(family, Task(kind, names), **sounding(family)) for names in (OLD, NEW))  # type: ignore[arg-type]
    shapes = {name: tensor.shape for name, tensor in plain_state(few).items()}
    differ = {n for n, tensor in plain_state(many).items() if tensor.shape != shapes[n]} - run_buffers(many)
    assert differ and differ == of_classes(many)
    for layer, rows in many.class_rows().items():
        if f"{layer}.weight" in shapes:
            assert len(rows(many.task)) == len(plain_state(many)[f"{layer}.weight"])


@pytest.mark.parametrize(("decoder", "backbone"), CAVP_DECODERS)
def test_every_decoder_of_cavp_names_them(decoder: str, backbone: str) -> None:
    with torch.device("meta"):
        config = small_config("cavp", decoder=decoder, backbone=backbone)
        few, many = (build_model(config, Task("semantic", names)) for names in (OLD, NEW))
    shapes = {name: tensor.shape for name, tensor in plain_state(few).items()}
    differ = {n for n, tensor in plain_state(many).items() if tensor.shape != shapes[n]} - run_buffers(many)
    assert differ and differ == of_classes(many)


@pytest.mark.parametrize(("family", "kind"), CLASSES)
def test_classes_of_both_lists_keep_their_rows(family: str, kind: str, tmp_path: Path) -> None:
    old = made(family, Task(kind, OLD), **sounding(family))  # type: ignore[arg-type]
    path = save_model(old, tmp_path / "old.safetensors")
    new = made(family, Task(kind, NEW), 1, **sounding(family))  # type: ignore[arg-type]
    before, given = {n: t.clone() for n, t in plain_state(new).items()}, plain_state(old)
    transfer = take_model_file(new, path)
    assert (transfer.kept_classes, transfer.new_classes) == (["bell", "dog"], ["piano", "cat"])
    assert transfer.dropped_classes == ["guitar"] and not transfer.unused and not transfer.fresh
    after = plain_state(new)
    for layer, rows in new.class_rows().items():
        if f"{layer}.weight" not in after:
            continue
        here, there = rows(new.task), rows(old.task)
        for part in (part for part in PARTS if f"{layer}.{part}" in after):
            name = f"{layer}.{part}"
            for number, source in ((1, 3), (3, 1)):
                assert torch.equal(after[name][here.index(number)], given[name][there.index(source)])
            if 0 in here:
                assert torch.equal(after[name][here.index(0)], given[name][there.index(0)])
            for number in (2, 4):
                assert torch.equal(after[name][here.index(number)], before[name][here.index(number)])
    others = set(after) - of_classes(new) - run_buffers(new)
    assert others and all(torch.equal(after[name], given[name]) for name in others)


def test_as_many_classes_of_other_names_are_other_classes(tmp_path: Path) -> None:
    path = save_model(made("tpavi", Task("semantic", ("dog", "cat"))), tmp_path / "old.safetensors")
    new = made("tpavi", Task("semantic", ("owl", "cat")), 1)
    before = plain_state(new)["network.head.classify.bias"].clone()
    transfer = take_model_file(new, path)
    after = plain_state(new)["network.head.classify.bias"]
    assert transfer.new_classes == ["owl"] and after[1] == before[1] and after[2] != before[2]


@pytest.mark.parametrize(
    ("old", "new"), [(Task("binary"), Task("semantic", OLD)), (Task("semantic", OLD), Task("binary"))]
)
@pytest.mark.parametrize("family", [f for f in LEARNING if {"binary", "semantic"} <= FAMILIES[f].model_class().tasks])
def test_between_binary_and_classes_the_head_begins_fresh(family: str, old: Task, new: Task, tmp_path: Path) -> None:
    given = made(family, old)
    model = made(family, new, 1)
    before = {name: plain_state(model)[name].clone() for name in of_classes(model)}
    transfer = take_model_file(model, save_model(given, tmp_path / "old.safetensors"))
    assert set(transfer.fresh) == of_classes(model) and not transfer.mixed and not transfer.kept_classes
    assert all(torch.equal(plain_state(model)[name], tensor) for name, tensor in before.items())
    if new.kind == "binary":
        assert "new: " in str(transfer) and "the foreground, since the file has classes" in str(transfer)


def test_the_log_says_in_two_lines_what_was_kept_and_what_is_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_model(made("tpavi", Task("semantic", OLD)), tmp_path / "old.safetensors")
    new = made("tpavi", Task("semantic", NEW), 1)
    with caplog.at_level(logging.INFO):
        assert initialise(new, model_file=path) == []
    kept, fresh = caplog.messages
    count = len(plain_state(new))
    assert kept == f"kept of {path}: {count - 2} of {count} tensors, 2 in part; 2 classes (bell, dog)"
    assert fresh == "new: 2 classes (piano, cat); left behind: 1 class (guitar)"
    caplog.clear()
    same = made("tpavi", Task("semantic", OLD), 1)
    with caplog.at_level(logging.INFO):
        initialise(same, model_file=path)
    assert caplog.messages[0].endswith(f"{count} of {count} tensors; 3 classes (dog, guitar, bell)")
    assert caplog.messages[1] == "new: nothing"


def test_a_head_of_another_shape_keeps_no_class(tmp_path: Path) -> None:
    path = save_model(made("tpavi", Task("semantic", OLD)), tmp_path / "old.safetensors")
    new = made("tpavi", Task("semantic", OLD), 1, head_widths=(8, 4))
    transfer = take_model_file(new, path)
    assert "network.head.classify.weight" in transfer.fresh and transfer.new_classes == list(OLD)


def test_a_file_of_another_family_without_anything_in_common_is_one_sentence(tmp_path: Path) -> None:
    path = save_model(made("tpavi", Task("binary")), tmp_path / "old.safetensors")
    other = made("avism", Task("instance", OLD))
    other.network, other.audio_network = torch.nn.Linear(1, 1), None  # type: ignore[assignment]
    with pytest.raises(
        ValueError, match="of the family tpavi, agrees in name and shape with this model of the family avi"
    ):
        take_model_file(other, path)


def test_the_model_of_the_package_is_called_demo() -> None:
    model = load_model("demo")
    found = take_model_file(model, "demo")
    assert str(found).startswith("kept of demo: 243 of 243 tensors; 8 classes")
    assert model.descent["origin"] == "trained further from demo"
