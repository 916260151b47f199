"""The small AVISM from the command line's recipe to a judged model file, on long videos on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Stop, assert_same_run, rows

from avseg.cli import run as avseg
from avseg.datasets import data_config
from avseg.datasets.folders import write
from avseg.engine import evaluate_file
from avseg.engine.config import Recipe
from avseg.engine.training.run import train_recipe
from avseg.losses.config import SetConfig
from avseg.models import load_model
from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.model import AVISM
from avseg.recipes import get_recipe

TERMS = {f"{stage}_{name}" for stage in ("frame", "clip") for name in ("class", "mask", "dice")}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("aviseg")
    write("aviseg", root, 6, 0, workers=1, held_out=1, difficulty="easy", size=64, seconds=(6, 8))
    return root


def short(root: Path, **changes: Any) -> Recipe:
    """The recipe with a smaller network, for a few steps of two clips."""
    recipe = get_recipe("avism_small")
    assert isinstance(recipe.model, AVISMConfig)
    model = replace(recipe.model, width=32, heads=4, frame_queries=5, clip_queries=4, criterion=SetConfig(points=32))
    plain = {"batch_size": 2, "workers": 0, "log_every": 1, "save_every": 1, "eval_every": 2, "eval_from": 0}
    train = replace(recipe.train, **{**plain, **changes})
    return replace(recipe, model=model, data=replace(recipe.data, root=root), train=train)


def test_the_command_trains_and_judges(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = {"data.root": world, "out": out, "train.steps": 3, "train.workers": 0, "train.batch-size": 2}
    model = {"model.width": 32, "model.heads": 4, "model.frame-queries": 5, "model.criterion.points": 32}
    assert avseg(["train", "avism_small", *(x for k, v in {**words, **model}.items() for x in (f"--{k}", str(v)))]) == 0
    assert f"best model: {out}" in capsys.readouterr().out
    steps = rows(out)
    assert [row["step"] for row in steps] == [1, 2, 3]
    assert set(steps[0]["terms"]) == TERMS | {"similarity", "sounding"}
    assert set(steps[0]["lr"]) == {"backbone", "pixel_decoder", "detector", "video", "audio"}
    (judged,) = rows(out, "validation")
    assert judged["protocol"] == "aviseg" and next(iter(judged["figures"])) == "FSLA"
    assert {"HOTA", "mAP", "FSLAm"} <= set(judged["figures"])
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert (summary["steps"], summary["epochs"]) == (3, 2)
    assert load_model(out / "last.safetensors").config.frame_queries == 5  # type: ignore[attr-defined]
    data = data_config("aviseg", root=world)
    report = evaluate_file(out / "last.safetensors", data, protocol="aviseg", device="cpu", workers=0)
    assert set(report.scores) >= set(judged["figures"])


class _StopAVISM(Stop):
    """Interrupts at a batch of training; validation goes through another door."""

    def hook(self, module: AVISM, _: Any) -> None:
        if module.training:
            self()


def test_an_interrupted_run_goes_on_bit_for_bit(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points, order, frames and flips follow seed, epoch and clip; the model's own draws follow none but these."""
    recipe = short(world, steps=5, accumulate=2, ema=0.9)
    train_recipe(recipe, tmp_path / "whole")
    stop, build = _StopAVISM(4), AVISM.__init__

    def stopping(self: AVISM, *arguments: Any) -> None:
        build(self, *arguments)
        self.register_forward_pre_hook(stop.hook)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(AVISM, "__init__", stopping)
        with pytest.raises(KeyboardInterrupt):
            train_recipe(recipe, tmp_path / "stopped")
    train_recipe(recipe, tmp_path / "stopped")
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
    assert len(rows(tmp_path / "whole")) == 5
