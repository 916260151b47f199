"""Families by their records: presets, families of other packages, and their model files."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from avseg.cli import command_of, commands, group, run
from avseg.config import InputSpec, ModelConfig
from avseg.losses.config import ContrastConfig
from avseg.models import FAMILIES, FamilySpec, create_model, describe, list_models, load_model, save_model
from avseg.models.base import Model
from avseg.models.header import read_header
from avseg.recipes import RECIPES
from avseg.registry import Origin
from avseg.types import Batch, DensePrediction, Prediction, Task
from small import small_config

PRESETS = [(family, preset) for family in FAMILIES for preset in FAMILIES[family].presets]
SMALL = {"backbone": "test_resnet", "audio_network": "small"}


@pytest.mark.parametrize(("family", "name"), PRESETS, ids="-".join)
def test_every_preset_is_a_config_and_a_task_of_its_family(family: str, name: str) -> None:
    spec = FAMILIES[family]
    config, task = spec.preset(name), spec.find_preset(name).task  # type: ignore[attr-defined]
    assert type(config) is spec.config and task.kind in spec.model_class().tasks
    changed = spec.preset(name, input=InputSpec((64, 64)))
    assert changed.input.size == (64, 64) and changed.audio == config.audio and changed.temporal == config.temporal


def test_models_are_made_by_name_and_preset() -> None:
    model = create_model("tpavi", preset="ms3", backbone="test_resnet", width=16, inner=8)
    assert model.task == Task("binary") and model.config.avm is not None and model.config.width == 16
    avss = create_model("tpavi", "avss", backbone="test_resnet", width=16, inner=8)
    assert len(avss.task.classes) == 70 and avss.task.classes[0] != "background"
    own = create_model("cavp", task=Task("semantic", ("dog",)), aspp_width=16, detail_width=16, **SMALL)
    assert own.task.classes == ("dog",) and own.config.audio_channels == 1
    assert [len(FAMILIES["cavp"].find_preset(n).task.classes) for n in ("single", "vpo_stereo")] == [23, 21]  # type: ignore[attr-defined]
    assert FAMILIES["avism"].preset("swinl").frame_queries == 200  # type: ignore[attr-defined]
    assert [FAMILIES["qdformer"].preset(n).temporal.length for n in ("1s7m", "s4", "ms3", "avss")] == [5, 5, 5, 10]


def test_lists_of_models() -> None:
    assert set(list_models()) >= {"avism", "cavp", "qdformer", "tpavi"}
    assert list_models("tpavi") == ["s4", "ms3", "avss"]


def test_unknown_names_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"there is no model family 'tpav'; did you mean 'tpavi'\?"):
        create_model("tpav")
    with pytest.raises(ValueError, match=r"tpavi has no preset 'avs'; did you mean 'avss'\?"):
        create_model("tpavi", preset="avs")
    with pytest.raises(ValueError, match=r"TPAVIConfig has no field 'widht'; did you mean 'width'\?"):
        create_model("tpavi", widht=3)
    with pytest.raises(ValueError, match="there is no model family"):
        list_models("tpav")


@dataclass(frozen=True)
class ToyConfig(ModelConfig):
    family: ClassVar[str] = "toy"
    bias: float = 0.0


class Toy(Model[torch.Tensor]):
    """Every pixel sounds as loud as a number says."""

    Config = ToyConfig
    tasks = frozenset({"binary"})

    def __init__(self, config: ToyConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = torch.nn.Conv2d(1, 1, 1)

    def forward(self, batch: Batch) -> torch.Tensor:
        return batch.frames[:, :, :1].float() * 0 + self.network.bias

    def losses(self, output: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        return {"nothing": output.sum() * 0}

    def postprocess(self, output: torch.Tensor, batch: Batch) -> list[Prediction]:
        return [DensePrediction(name, own, (4, 4)) for name, own in zip(batch.ids, output, strict=True)]

    def param_groups(self) -> dict[str, list[torch.nn.Parameter]]:
        return {"all": list(self.network.parameters())}


def make_toy(checkpoint: Path, out: Path, *, loud: float = 1.0) -> Path:
    """Make a model file of a toy.

    Args:
        checkpoint: A toy.
        out: The model file.
        loud: How loud.
    """
    return save_model(Toy(ToyConfig(bias=loud), Task("binary")), out)


def play(out: Path = Path("toy")) -> int:
    """Play with a toy."""
    return 3


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> FamilySpec:
    """A family as a package may bring it."""
    home = types.ModuleType("toy_family")
    vars(home).update(Toy=Toy, make_toy=make_toy, play=play)
    monkeypatch.setitem(sys.modules, "toy_family", home)
    spec = FamilySpec(
        name="toy",
        config=ToyConfig,
        model="toy_family:Toy",
        paper="none",
        settings="toys",
        backbones="none",
        presets={"loud": lambda **changes: ToyConfig(**{"bias": 2.0, **changes})},
        convert="toy_family:make_toy",
        commands={"play": "toy_family:play"},
    )
    monkeypatch.setitem(FAMILIES._added, "toy", spec)
    return spec


def test_a_family_of_another_package_appears_by_itself(
    toy: FamilySpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "toy" in list_models() and describe()[-1]["settings"] == "toys" and "play" in commands()
    assert run(["models"]) == 0 and "toys" in capsys.readouterr().out
    assert "toy" in group("convert") and run(["play"]) == 3
    (tmp_path / "a.pth").touch()
    assert run(["convert", "toy", str(tmp_path / "a.pth"), "-o", str(tmp_path / "a.safetensors"), "--loud", "0.5"]) == 0
    assert "family    toy" in capsys.readouterr().out
    again = load_model(tmp_path / "a.safetensors")
    assert isinstance(again, Toy) and again.config == ToyConfig(bias=0.5)
    assert "--loud" in {name for option in command_of(["convert", "toy"])[0].options for name in option.names}  # type: ignore[union-attr]


def test_a_preset_that_fixes_no_task_wants_one(toy: FamilySpec) -> None:
    assert create_model("toy", task=Task("binary")).config == ToyConfig(bias=2.0)
    with pytest.raises(ValueError, match=r"this setting of toy is for no task alone; give one, such as task="):
        create_model("toy", "loud")


@pytest.mark.parametrize("source", [Origin("toy-family", "0.1"), Origin("", "")])
def test_a_file_of_a_family_that_is_not_here_says_which_package_is_missing(
    source: Origin, toy: FamilySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAMILIES, "source", lambda name: source if name == "toy" else None)
    path = save_model(create_model("toy", task=Task("binary")), tmp_path / "toy.safetensors")
    assert read_header(path).notes == ({"package": "toy-family 0.1"} if source.package else {})
    monkeypatch.delitem(FAMILIES._added, "toy")
    wanted = (
        r"the family 'toy' of .* comes from the package toy-family 0\.1, which "
        r"is not installed here; pip install it, or "
        "name its module with --plugin"
        if source.package
        else "has the family 'toy', which is unknown here; if a package provides it, pip install it, or name its"
    )
    with pytest.raises(ValueError, match=wanted):
        load_model(path)


def test_files_of_our_own_families_name_no_package(tmp_path: Path) -> None:
    from avseg.models import build_model

    path = save_model(build_model(small_config("tpavi"), Task("binary")), tmp_path / "m.safetensors")
    assert read_header(path).notes == {}


def test_a_model_names_the_parts_that_files_can_begin(tmp_path: Path) -> None:
    from avseg.models import build_model, initialise

    wanted = {
        "avism": ["detector", "backbone", "vggish"],
        "avsegformer": ["backbone", "vggish"],
        "cavp": ["backbone", "vggish", "audio"],
        "qdformer": ["backbone", "vggish"],
        "tpavi": ["backbone", "vggish"],
    }
    tasks = {"avism": Task("instance", ("dog",))}
    file = tmp_path / "weights.pth"
    for family, names in wanted.items():
        model = build_model(small_config(family), tasks.get(family, Task("binary")))
        assert list(model.weight_slots()) == names
        assert model.weight_slots()["vggish"].module is None  # the small network has nothing of VGGish
        with pytest.raises(ValueError, match=rf"{file} was given for 'ears', and {family} has no such part; it has"):
            initialise(model, ears=file)
        with pytest.raises(ValueError, match=r"does not have .*audio_network='vgg"):
            initialise(model, vggish=file)
        if family != "avism":
            with pytest.raises(ValueError, match=f"for 'detector', and {family} has no such part"):
                initialise(model, detector=file)


def test_both_names_of_vggish_are_one_network() -> None:
    published = FAMILIES["cavp"].preset("avss")
    assert FAMILIES["cavp"].preset("avss", audio_network="vggish") == published
    assert published.audio_network == "vgg"  # type: ignore[attr-defined]  # as files and recipes have it


@pytest.mark.parametrize(
    ("family", "fields", "sentence"),
    [
        ("tpavi", {"sounding_classes": 23}, "sounding_classes is 23 but has no effect, because sounding_weight is 0"),
        ("qdformer", {"sounding_classes": 3}, "sounding_classes is 3 but has no effect, because sounding_weight is 0"),
        ("cavp", {"decoder": "ocr", "aspp_width": 32}, "aspp_width is 32 but has no effect, because decoder is 'ocr'"),
        ("cavp", {"decoder": "hrnet", "head_width": 32}, "because decoder is 'hrnet'; leave it at 256"),
        (
            "cavp",
            {"contrast": ContrastConfig(bank="none", slots=3)},
            r"contrast\.slots is 3 .* contrast\.bank is 'none'",
        ),
    ],
)
def test_what_is_set_in_vain_is_refused(family: str, fields: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        create_model(family, **fields)
    FAMILIES[family].config(**fields)  # a file that holds it opens


def test_no_recipe_and_no_preset_sets_anything_in_vain() -> None:
    for name in RECIPES:
        RECIPES[name]().model.refuse_idle()
    for family, preset in PRESETS:
        FAMILIES[family].preset(preset).refuse_idle()
