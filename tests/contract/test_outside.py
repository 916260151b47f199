"""A data set that avseg does not know is trained on, evaluated, and has its options on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from avseg import build_dataset, list_datasets
from avseg.cli import command_of, run
from avseg.commands.parse import Command
from avseg.data import data_config, make_loader
from avseg.data.framing import OneFrame
from avseg.datasets import DATASETS
from avseg.engine import evaluate_file
from avseg.engine.config import Recipe, TrainConfig
from avseg.engine.training.run import train_recipe
from contract.outside import SPEC, HalvesConfig
from small import small_config


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATASETS, "_added", {})
    DATASETS.add(SPEC.name, SPEC)


def test_it_is_trained_on_and_evaluated(tmp_path: Path) -> None:
    data = data_config("halves", bright=250, augment=("window", "flip"), clip_frames=1)
    once = TrainConfig(steps=1, batch_size=2, workers=0)
    best = train_recipe(Recipe(small_config("tpavi"), data, train=once), tmp_path / "run")
    assert json.loads((tmp_path / "run/recipe.json").read_text())["data"]["bright"] == 250
    report = evaluate_file(best, HalvesConfig(), out=tmp_path / "out", device="cpu")
    assert len(report.rows) == 4 and report.scores and report.suites == ("avsbench_object",)
    assert json.loads((tmp_path / "out/result.json").read_text())["data"]["name"] == "halves"


def test_it_has_all_the_rest_by_default() -> None:
    assert "halves" in list_datasets()
    dataset = build_dataset(HalvesConfig(suite="vpo"), "val")
    assert (dataset.suite, build_dataset(HalvesConfig(), "val").suite) == ("vpo", "avsbench_object")
    assert dataset.config == HalvesConfig(suite="vpo") and dataset.ids[0] == "val0"
    [batch] = make_loader(dataset, [OneFrame()], batch_size=4)
    assert batch.frames.shape == (4, 1, 3, 64, 64) and batch.frames[1, 0, 0, 0].tolist() == [200] * 32 + [0] * 32
    assert torch.equal(batch.audio[1], dataset[1].audio)


def test_its_options_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    command, _ = command_of(["evaluate", "demo", "--data.name", "halves"])
    assert isinstance(command, Command)
    assert "--data.bright" in {name for option in command.options for name in option.names}
    with pytest.raises(SystemExit):
        run(["evaluate", "demo", "--data.name", "halves", "--help"])
    page = capsys.readouterr().out
    assert "--data.bright N" in page and "Level of the half that sounds." in page and "--data.parts" not in page
    for name, option in (("halves", {"parts": ("v2",)}), ("s4", {"bright": 3})):
        with pytest.raises(ValueError, match=f"the data set '{name}' has no option"):
            data_config(name, **option)
