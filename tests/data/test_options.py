"""An option that a data set does not have is refused, whichever it is, and never passed over."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from avseg.data import DATASETS, DataConfig, build_dataset
from avseg.datasets.tables import GENERAL, OF_TRAINING
from avseg.engine import evaluate_file
from avseg.recipes import RECIPES, get_recipe

VPO = {"vpo_ss", "vpo_ms", "vpo_msmi"}
OBJECT = {"s4", "ms3", "avs_1s7m"}

# Another value than the default of every field that not all sets have, and the sets that have it.
OPTIONS: dict[str, tuple[Any, set[str]]] = {
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
}
AUDIO = {"log_mel": OBJECT, "features": {"aviseg"}}
COMPAT = {
    "audio_window": {"avss", *OBJECT, *VPO},
    "audio_hop": OBJECT,
    "relabel": VPO,
    "mono_flip": VPO,
    "merged_val": VPO,
    "replacement": {"aviseg"},
}
ASKED: list[tuple[str, Any, set[str]]] = [
    *((field, value, sets) for field, (value, sets) in OPTIONS.items()),
    *(("audio", value, sets) for value, sets in AUDIO.items()),
    *(("compat", (value,), sets) for value, sets in COMPAT.items()),
]


def test_every_field_is_general_or_has_its_sets() -> None:
    assert {f.name for f in fields(DataConfig)} == {*GENERAL, *OPTIONS, "audio", "compat"}


@pytest.mark.parametrize(("field", "value", "sets"), ASKED, ids=[f"{f}={v}".split("(")[0] for f, v, _ in ASKED])
@pytest.mark.parametrize("name", DATASETS)
def test_a_foreign_option_is_refused_and_an_own_one_is_not(
    name: str, field: str, value: Any, sets: set[str], tmp_path: Path
) -> None:
    config = DataConfig(name=name, root=None if name == "synth" else tmp_path, **{field: value})
    if name not in sets:
        with pytest.raises(ValueError, match=r"has no option|ships no log-mel|gives sound at 16 kHz") as caught:
            build_dataset(config, "train")
        assert "\n" not in str(caught.value)
    elif name == "synth":
        assert build_dataset(config, "train").config == config
    else:
        with pytest.raises(FileNotFoundError):  # the folder is empty: the option was let through
            build_dataset(config, "train")


def test_a_refusal_names_the_option_as_it_is_given_and_what_there_is(tmp_path: Path) -> None:
    config = DataConfig(name="s4", root=tmp_path, kind="semantic", frames=10, mask_mode="upstream")
    with pytest.raises(ValueError, match="no option") as caught:
        build_dataset(config, "train")
    for words in ("mask_mode (--data.mask-mode)", "kind (--data.kind)", "frames (--data.frames)", "audio_window"):
        assert words in str(caught.value)


def test_videos_of_the_world_are_not_kept_and_it_reads_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no option keep"):
        build_dataset(DataConfig(name="synth", kind="instance", keep=True), "train")
    with pytest.raises(ValueError, match="reads no folder"):
        build_dataset(DataConfig(name="synth", root=tmp_path), "train")


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_asks_its_data_set_for_what_it_has_not(recipe: str, tmp_path: Path) -> None:
    made = get_recipe(recipe)
    for config in filter(None, (made.data, made.val)):
        with contextlib.suppress(FileNotFoundError):  # the folder is empty
            build_dataset(config, "val", None if config.name == "synth" else tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "split"),
    [
        *(
            (field, value, "test")
            for field, value in zip(OF_TRAINING, (("flip",), (2.0,), 3, 7, (96,), 99), strict=True)
        ),
        ("clips", 7, "val"),
        ("held_out_clips", 7, "train"),
        ("silent_videos", True, "test"),
    ],
)
def test_evaluation_refuses_what_changes_nothing_there(field: str, value: Any, split: str, tmp_path: Path) -> None:
    config = DataConfig(name="synth", **{field: value})
    with pytest.raises(ValueError, match=f"--data.{field.replace('_', '-')} changes nothing .* split {split}"):
        evaluate_file(tmp_path / "no.safetensors", config, split=split)
