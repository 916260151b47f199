"""A model and data sets of your own: what is trained is what was given, and recipe.json tells it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import TinyConfig, TinyModel, TinyWorld, recipe

from avseg.config import InputSpec, to_dict
from avseg.data.base import ClipDataset
from avseg.data.config import DataConfig
from avseg.engine import Recipe, train
from avseg.models.tpavi.config import TPAVIConfig
from avseg.types import Batch, Clip, Task

OWN = DataConfig(name="mine", augment=("one_frame",))
PLAIN = DataConfig(name="mine")


class Watching(TinyModel):
    """Keeps the number of frames of every batch that it is trained on."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config, Task("binary"))
        self.frames: set[int] = set()

    def forward(self, batch: Batch) -> Any:
        if self.training:
            self.frames.add(batch.frames.shape[1])
        return super().forward(batch)


def world(config: DataConfig, clips: int = 4) -> TinyWorld:
    made = TinyWorld(clips)
    made.config = config
    return made


def trained(folder: Path, config: DataConfig, of: Recipe, val: DataConfig | None = None) -> Watching:
    torch.manual_seed(0)
    model = Watching(of.model)  # type: ignore[arg-type]
    train(model, world(config), world(val, 2) if val else None, of, folder)
    return model


def told(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "recipe.json").read_text())
    return values


def test_augmentation_is_that_of_the_data_set_and_not_of_the_recipe(tmp_path: Path) -> None:
    of = recipe(epochs=1)
    frames = len(world(PLAIN)[0].frames)
    assert frames > 1
    assert trained(tmp_path / "own", OWN, replace(of, data=PLAIN)).frames == {1}
    assert trained(tmp_path / "plain", PLAIN, replace(of, data=OWN)).frames == {frames}


def test_the_recipe_in_the_folder_tells_the_data_sets_that_were_given(tmp_path: Path) -> None:
    of = replace(recipe(epochs=1), data=DataConfig(name="s4", augment=("flip",)))
    trained(tmp_path / "one", OWN, of, OWN)
    assert (
        told(tmp_path / "one")["data"] == json.loads(json.dumps(to_dict(OWN))) and told(tmp_path / "one")["val"] is None
    )
    trained(tmp_path / "two", OWN, of, PLAIN)
    assert told(tmp_path / "two")["val"] == json.loads(json.dumps(to_dict(PLAIN)))
    trained(tmp_path / "none", OWN, of)
    assert told(tmp_path / "none")["val"] is None


def test_a_data_set_without_a_config_goes_by_the_name_of_its_class(tmp_path: Path) -> None:
    class Mine(ClipDataset):
        task, ids = Task("binary"), ["a", "b"]

        def __getitem__(self, index: int) -> Clip:
            return world(PLAIN)[index]

    of = recipe(epochs=1)
    train(Watching(of.model), Mine(), None, of, tmp_path)  # type: ignore[arg-type]
    assert told(tmp_path)["data"]["name"] == "Mine"
    assert ClipDataset.config == DataConfig() and Mine.config == DataConfig(name="Mine")


def test_a_run_on_other_data_is_another_run(tmp_path: Path) -> None:
    of = recipe(epochs=2, steps=1, save_every=1)
    trained(tmp_path, OWN, of)
    (tmp_path / "summary.json").unlink()
    with pytest.raises(ValueError, match=r"another recipe .*data\.augment was"):
        trained(tmp_path, PLAIN, of)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (TinyConfig(dropout=0.5), r"recipe.model.dropout is 0.2, and that of the model is 0.5; .*model=model.config"),
        (
            TinyConfig(input=InputSpec(size=(4, 8))),
            r"recipe.model.input.size is \[8, 8\], and that of the model is \[4, 8\]",
        ),
    ],
)
def test_a_recipe_of_another_model_is_refused(tmp_path: Path, model: TinyConfig, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        train(Watching(model), world(PLAIN), None, recipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_recipe_of_another_family_is_refused(tmp_path: Path) -> None:
    of = replace(recipe(), model=TPAVIConfig())
    with pytest.raises(ValueError, match=r"recipe\.model has the family tpavi, but the model has tiny"):
        train(Watching(TinyConfig()), world(PLAIN), None, of, tmp_path)
