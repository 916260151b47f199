"""Trackers: what they get, and what is said of a missing one before anything is built."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from tiny_run import recipe, run

from avseg.cli import run as avseg
from avseg.engine.config import TrainConfig
from avseg.engine.training.run import train_recipe
from avseg.engine.training.trackers import TRACKERS, check_trackers
from avseg.recipes import get_recipe
from extras import needs


@pytest.fixture
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avseg.engine.training.trackers.find_spec", lambda name: None)


@pytest.mark.extra
@pytest.mark.parametrize(("name", "trace"), [("tensorboard", "tfevents"), ("wandb", "")])
def test_a_tracker_gets_every_row(name: str, trace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(name)
    monkeypatch.chdir(tmp_path)
    logged: list[dict[str, Any]] = []
    if name == "wandb":
        from accelerate.tracking import WandBTracker

        monkeypatch.setattr(WandBTracker, "log", lambda self, values, **_: logged.append(values))
    run(tmp_path, recipe(trackers=(name,), epochs=1))
    if trace:
        assert any(trace in path.name for path in (tmp_path / "trackers").rglob("*"))
    else:
        lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        assert [row["event"] for row in logged] == [json.loads(line)["event"] for line in lines] != []


@pytest.mark.usefixtures("_nothing_installed")
@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_refused_with_its_extra(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"'{name}' is not installed; pip install 'avseg\[{name}\]'"):
        run(tmp_path, recipe(trackers=(name,)))


@pytest.mark.usefixtures("_nothing_installed")
def test_a_missing_tracker_is_told_before_data_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "avseg.engine.training.run.build_dataset", lambda *_: pytest.fail("the data set was opened first")
    )
    with pytest.raises(ValueError, match=r"pip install 'avseg\[tensorboard\]'"):
        train_recipe(replace(get_recipe("demo"), train=TrainConfig(trackers=("tensorboard",))), tmp_path)


@pytest.mark.usefixtures("_nothing_installed")
def test_a_sweep_tells_it_before_its_first_run(tmp_path: Path) -> None:
    words = ["--train.trackers", "wandb", "--sweep", "train.seed=0,1", "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=r"avseg\[wandb\]"):
        avseg(["train", "demo", *words])
    assert not (tmp_path / "out").exists()


def test_a_folder_called_as_a_tracker_is_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B keeps its runs in `wandb/`, which Python takes for a package without code."""
    folder = ModuleSpec("wandb", None, is_package=True)
    monkeypatch.setattr("avseg.engine.training.trackers.find_spec", lambda name: folder)
    with pytest.raises(ValueError, match="not installed"):
        check_trackers(["wandb"])


def test_every_tracker_is_an_extra() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert set(TRACKERS) <= set(extras) and extras["track"] == ["avseg[tensorboard,wandb]"]
    assert all(extras[name][0].startswith(name) for name in TRACKERS)
