"""An option that a data set does not have is refused, whichever it is, and never passed over."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avseg.cli import command_of, run
from avseg.commands.parse import MISUSE, Command
from avseg.config import to_dict
from avseg.data import DATASETS, DataConfig, build_dataset, data_config
from avseg.data.config import PARAMETERS, defaults_of
from avseg.datasets import own_config, read_config
from avseg.engine import evaluate_file
from avseg.recipes import RECIPES, get_recipe

VPO = {"vpo_ss", "vpo_ms", "vpo_msmi"}
OBJECT = {"s4", "ms3", "avs_1s7m"}

# Another value than the default of every field that not all sets have, and the sets that have it.
OPTIONS: dict[str, tuple[Any, set[str]]] = {
    "audio": ("wav", {"aviseg", *OBJECT}),
    "compat": ((), {"avss", "aviseg", "synth", *OBJECT, *VPO}),
    "mask_mode": ("upstream", {"ms3", "avs_1s7m"}),
    "parts": (("v2",), {"avss"}),
    "mix": ({"s4": 1}, {"avs_1s7m"}),
    "binary": (True, {"avss", "single", *OBJECT}),
    "silent_videos": (True, {"aviseg"}),
    "sounds": (Path("sounds"), VPO),
    "difficulty": ("hard", {"synth"}),
    "kind": ("semantic", {"synth"}),
    "clips": (3, {"synth"}),
    "held_out_clips": (3, {"synth"}),
    "frames": (2, {"synth"}),
    "size": (32, {"synth"}),
    "keep": (True, {"synth"}),
    "seed": (5, {"synth"}),
    "fps": (2.0, {"folder"}),
    "task": ("binary", {"folder"}),
    "clip_seconds": (3.0, {"folder"}),
    "split": (Path("split.csv"), {"folder"}),
    "cache": (Path("cache"), {"folder"}),
}
WORDS: dict[str, dict[str, set[str]]] = {
    "audio": {"log_mel": OBJECT, "features": {"aviseg"}},
    "compat": {
        "audio_window": {"avss", *OBJECT, *VPO},
        "audio_hop": OBJECT,
        "relabel": VPO,
        "mono_flip": VPO,
        "merged_val": VPO,
        "replacement": {"aviseg", "synth"},
    },
}
FOREIGN = [(name, field) for name in DATASETS for field, (_, sets) in OPTIONS.items() if name not in sets]


def test_every_option_of_every_set_is_listed_here() -> None:
    own = {name: set(defaults_of(spec.config)) - set(defaults_of(DataConfig)) for name, spec in DATASETS.items()}
    assert own == {name: {field for field, (_, sets) in OPTIONS.items() if name in sets} for name in DATASETS}
    assert len(FOREIGN) > 100


@pytest.mark.parametrize(("name", "field"), FOREIGN)
def test_an_option_of_another_set_is_refused_in_python_and_on_the_command_line(name: str, field: str) -> None:
    value, sets = OPTIONS[field]
    with pytest.raises(ValueError, match=f"the data set '{name}' has no option {field}") as caught:
        data_config(name, **{field: value})
    option = f"--data.{field.replace('_', '-')}"
    assert option in str(caught.value) and all(other in str(caught.value) for other in sets)
    assert "\n" not in str(caught.value)
    for head in ("evaluate", "codes"):
        words = ["demo", "--data.name", name, option, "x"]
        command, behind = command_of([head, *words])
        assert isinstance(command, Command)
        assert option not in {known for known in command.options for known in known.names}
        assert command._mistake(behind) == str(caught.value)


@pytest.mark.parametrize("name", DATASETS)
def test_own_options_are_taken_in_python_and_on_the_command_line(name: str) -> None:
    own = {field: value for field, (value, sets) in OPTIONS.items() if name in sets}
    config = data_config(name, **own)
    assert type(config) is DATASETS[name].config and all(getattr(config, field) == own[field] for field in own)
    command, _ = command_of(["evaluate", "demo", "--data.name", name])
    assert isinstance(command, Command)
    names = {known for option in command.options for known in option.names}
    assert {f"--data.{field.replace('_', '-')}" for field in own} <= names


def test_a_command_line_says_what_is_wrong_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(["evaluate", "demo", "--data.name", "s4", "--data.kind", "semantic"])
    said = capsys.readouterr().err
    assert end.value.code == MISUSE and said.count("\n") == 1
    assert "the data set 's4' has no option kind (--data.kind, of synth)" in said
    with pytest.raises(SystemExit):
        run(["evaluate", "demo", "--data.root", ".", "--data.parts", "v2"])
    assert "--data.parts belongs to avss; name the data set with --data.name" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(["train", "tpavi_s4_r50", "--data.name=single", "--data.mask-mode", "auto"])
    assert "the data set 'single' has no option mask_mode" in capsys.readouterr().err


@pytest.mark.parametrize("field", WORDS)
@pytest.mark.parametrize("name", DATASETS)
def test_a_word_of_another_set_is_refused(name: str, field: str) -> None:
    if name not in OPTIONS[field][1]:
        return
    for word, sets in WORDS[field].items():
        value = word if field == "audio" else (word,)
        if name in sets:
            assert getattr(data_config(name, **{field: value}), field) == value
        else:
            with pytest.raises(ValueError, match=f"{field} '{word}' of the data set '{name}' is none of"):
                data_config(name, **{field: value})


def test_a_refusal_names_the_options_as_they_are_given_and_what_there_is() -> None:
    with pytest.raises(ValueError, match="no option") as caught:
        data_config("s4", kind="semantic", frames=10, mask_mode="upstream", nonsense=1)
    for words in (
        "mask_mode (--data.mask-mode, of ms3, avs_1s7m)",
        "kind (--data.kind, of synth)",
        "nonsense (--data.nonsense)",
        "in addition to the shared options it has audio, compat, binary",
    ):
        assert words in str(caught.value)


def test_a_config_of_one_set_becomes_that_of_another() -> None:
    plain = own_config(DataConfig("avss", stereo=True))
    assert type(plain) is DATASETS["avss"].config and plain.stereo
    kept = own_config(replace(data_config("avss", binary=True, augment=("flip",)), name="single"))
    assert kept == data_config("single", binary=True, augment=("flip",))
    with pytest.raises(ValueError, match=r"'single' has no option parts \(--data.parts, of avss\)"):
        own_config(replace(data_config("avss", parts=("v2",)), name="single"))
    mine = DataConfig("mine")
    assert own_config(mine) is mine


def test_json_of_earlier_versions_is_read_where_it_asks_for_nothing_foreign() -> None:
    before = {key: value for spec in DATASETS.values() for key, value in to_dict(spec.config()).items()}
    assert {"mask_mode", "difficulty", "sounds", "audio"} < set(before)
    for name in DATASETS:
        assert read_config(DataConfig, {**before, "name": name}) == data_config(name)
    read = read_config(DataConfig, {**before, "name": "avss", "parts": ["v1s"], "root": "a/b"})
    assert read == data_config("avss", parts=("v1s",), root=Path("a/b"))
    with pytest.raises(ValueError, match=r"the data set 's4' has no option frames .*of synth"):
        read_config(DataConfig, {**before, "name": "s4", "frames": 9})
    with pytest.raises(ValueError, match="'s4' has no option frmaes"):
        read_config(DataConfig, {**before, "name": "s4", "frmaes": 5})


def test_options_of_one_kind_of_the_world_and_folders_are_refused_by_it(tmp_path: Path) -> None:
    for options in ({"kind": "instance", "keep": True}, {"kind": "semantic", "compat": ("replacement",)}):
        with pytest.raises(ValueError, match=r"'synth' has no option .* with kind"):
            build_dataset(data_config("synth", **options), "train")
    with pytest.raises(ValueError, match="needs no folder"):
        build_dataset(data_config("synth", root=tmp_path), "train")
    with pytest.raises(ValueError, match=r"no data set given; use --data.name with one of .*aviseg"):
        build_dataset(DataConfig(), "train", tmp_path)


@pytest.mark.parametrize("field", PARAMETERS)
def test_a_parameter_of_an_augmentation_that_is_not_there_is_refused(field: str) -> None:
    values: dict[str, Any] = {"scales": (2.0,), "clip_frames": 3, "reach": 7, "sides": (96,), "longest": 99}
    with pytest.raises(ValueError, match=f"--data.{field.replace('_', '-')} of .* has no effect") as caught:
        data_config("aviseg", augment=("flip",), **{field: values[field]})
    for augmentation in PARAMETERS[field]:
        assert augmentation in str(caught.value)
        assert getattr(data_config("aviseg", augment=(augmentation,), **{field: values[field]}), field) == values[field]


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_asks_its_data_set_for_what_it_has_not(recipe: str, tmp_path: Path) -> None:
    made = get_recipe(recipe)
    for config in (config for config in (made.data, made.val) if config is not None and config.name):
        assert type(config) is DATASETS[config.name].config
        with contextlib.suppress(FileNotFoundError):  # the folder is empty
            build_dataset(config, "val", None if config.name == "synth" else tmp_path)


@pytest.mark.parametrize(
    ("options", "split"),
    [
        ({"augment": ("flip",)}, "test"),
        ({"augment": ("scale",), "scales": (2.0,)}, "test"),
        ({"clips": 7}, "val"),
        ({"held_out_clips": 7}, "train"),
    ],
)
def test_evaluation_refuses_what_changes_nothing_there(options: dict[str, Any], split: str, tmp_path: Path) -> None:
    said = " and ".join(f"--data.{field.replace('_', '-')}" for field in options)
    with pytest.raises(ValueError, match=f"{said} has no effect .* split {split}"):
        evaluate_file(tmp_path / "no.safetensors", data_config("synth", **options), split=split)
    with pytest.raises(ValueError, match="silent-videos has no effect"):
        evaluate_file(tmp_path / "no.safetensors", data_config("aviseg", silent_videos=True), split="test")
