"""Run folders that earlier versions wrote, with the options of every data set in each: they go on where they can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import TinyModel, TinyWorld, recipe

from avseg.config import to_dict
from avseg.data import DATASETS, data_config
from avseg.engine import train
from avseg.types import Task

EVERY_OPTION = {key: value for spec in DATASETS.values() for key, value in to_dict(spec.config()).items()}


def trained(folder: Path) -> Path:
    of = recipe(epochs=2, steps=2, save_every=1)
    world = TinyWorld(4)
    world.config = data_config("s4", augment=("flip",))
    return train(TinyModel(of.model, Task("binary")), world, None, of, folder)  # type: ignore[arg-type]


def as_earlier(folder: Path, **changes: Any) -> None:
    """Let the folder hold a run that was stopped before its end, with a recipe of the earlier form."""
    (folder / "summary.json").unlink()
    told = json.loads((folder / "recipe.json").read_text())
    told["data"] = json.loads(json.dumps({**EVERY_OPTION, **told["data"], **changes}))
    (folder / "recipe.json").write_text(json.dumps(told))


def test_it_goes_on_where_foreign_options_have_their_defaults(tmp_path: Path) -> None:
    trained(tmp_path)
    as_earlier(tmp_path)
    assert trained(tmp_path).exists()
    told = json.loads((tmp_path / "recipe.json").read_text())["data"]
    assert told == json.loads(json.dumps(to_dict(data_config("s4", augment=("flip",)))))


@pytest.mark.parametrize(("option", "value"), [("parts", ["v2"]), ("frames", 7), ("audio", "log_mel")])
def test_it_is_refused_where_an_option_had_another_value(option: str, value: Any, tmp_path: Path) -> None:
    trained(tmp_path)
    as_earlier(tmp_path, **{option: value})
    with pytest.raises(ValueError, match=rf"another recipe .*data\.{option} was "):
        trained(tmp_path)
