"""Sweeps: every combination in a folder of its own, skipped once finished, and one table of all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import TinyModel, TinyWorld, recipe, rows

from avseg.cli import run as avseg
from avseg.commands import train as command
from avseg.commands.train import variants
from avseg.engine.config import Recipe
from avseg.engine.training.sweep import RunOutcome, Variant, figures_by_setting, sweep
from avseg.engine.training.train import train
from avseg.recipes import get_recipe
from avseg.types import Task
from killed_writer import half_written

RATES = ("1e-3", "1e-2")


def tiny(values: dict[str, str]) -> Variant:
    plain = recipe(epochs=1, seed=int(values["train.seed"]))
    return Variant(values, replace(plain, optim=replace(plain.optim, lr=float(values["optim.lr"]))))


def four(*seeds: str) -> list[Variant]:
    return [tiny({"optim.lr": rate, "train.seed": seed}) for rate in RATES for seed in seeds or ("0", "1")]


def train_tiny(of: Recipe, folder: Path) -> Path:
    torch.manual_seed(0)
    return train(TinyModel(of.model, Task("binary")), TinyWorld(6), TinyWorld(2, seed=1), of, folder)  # type: ignore[arg-type]


def table(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    return content


def test_every_run_has_a_folder_and_a_row(tmp_path: Path) -> None:
    outcomes = sweep(four(), tmp_path, "tiny", train_tiny)
    assert [outcome.state for outcome in outcomes] == ["finished"] * 4
    folders = [f"optim.lr={rate},train.seed={seed}" for rate in RATES for seed in (0, 1)]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(folders)
    written = table(tmp_path)
    assert (written["kind"], written["format_version"], written["recipe"]) == ("avseg.sweep", 1, "tiny")
    assert [row["folder"] for row in written["runs"]] == folders
    assert rows(tmp_path / folders[0])[0]["lr"]["stem"] == 1e-3
    assert rows(tmp_path / folders[2])[0]["lr"]["stem"] == 1e-2
    [judged] = rows(tmp_path / folders[1], "validation")
    assert written["runs"][1]["last_figures"] == judged["figures"]
    seeds = [rows(tmp_path / folder, "validation")[0]["figures"]["J"] for folder in folders[:2]]
    [low, _] = written["over_seeds"]
    assert (low["values"], low["runs"]) == ({"optim.lr": "1e-3"}, 2)
    assert low["figures"]["J"]["mean"] == pytest.approx(sum(seeds) / 2)
    assert low["figures"]["J"]["deviation"] == pytest.approx(abs(seeds[0] - seeds[1]) / 2**0.5)


def test_finished_runs_are_skipped_and_failed_ones_do_not_end_the_sweep(tmp_path: Path) -> None:
    begun: list[str] = []

    def failing(of: Recipe, folder: Path) -> Path:
        begun.append(folder.name)
        if of.optim.lr == 1e-3 and of.train.seed == 1 and len(begun) < 5:
            raise FloatingPointError("the loss term 'bce' became nan")
        return train_tiny(of, folder)

    assert [o.state for o in sweep(four(), tmp_path, "tiny", failing)] == ["finished", "failed", "finished", "finished"]
    assert "became nan" in table(tmp_path)["runs"][1]["error"] and len(begun) == 4
    assert [o.state for o in sweep(four(), tmp_path, "tiny", failing)] == ["finished"] * 4
    assert begun[4:] == ["optim.lr=1e-3,train.seed=1"]
    # A wider sweep finds what is there, and clears what a killed one left.
    (piece,) = half_written(tmp_path / "sweep.json")
    assert [o.state for o in sweep(four("0", "1", "2"), tmp_path, "tiny", failing)] == ["finished"] * 6
    assert begun[5:] == ["optim.lr=1e-3,train.seed=2", "optim.lr=1e-2,train.seed=2"] and not piece.exists()


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    begun: list[str] = []

    def stopping(of: Recipe, folder: Path) -> Path:
        begun.append(folder.name)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train_tiny(of, folder)

    with pytest.raises(KeyboardInterrupt):
        sweep(four(), tmp_path, "tiny", stopping)
    assert [row["state"] for row in table(tmp_path)["runs"]] == ["finished", "waiting", "waiting", "waiting"]
    assert all(outcome.state == "finished" for outcome in sweep(four(), tmp_path, "tiny", stopping))
    assert len(begun) == 5


def test_a_finished_run_of_another_recipe_is_no_run_of_the_sweep(tmp_path: Path) -> None:
    sweep(four("0")[:1], tmp_path, "tiny", train_tiny)
    [variant] = four("0")[:1]
    longer = replace(variant, recipe=replace(variant.recipe, train=replace(variant.recipe.train, epochs=2)))
    [outcome] = sweep([longer], tmp_path, "tiny", train_tiny)
    assert outcome.state == "failed" and "train.epochs was 1 and is 2" in str(outcome.error)


def test_what_cannot_be_swept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        sweep([], tmp_path, "tiny", train_tiny)
    with pytest.raises(ValueError, match="give every value once"):
        sweep(four("0", "0"), tmp_path, "tiny", train_tiny)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"a sweep runs in one process.*optim.lr=1e-3,train.seed=0"):
        sweep(four(), tmp_path, "tiny", train_tiny)


def test_a_figure_that_is_missing_has_no_mean() -> None:
    done = [RunOutcome({"a": "1"}, "a=1", "finished", summary={"last_figures": {"J": value}}) for value in (0.5, None)]
    [one] = figures_by_setting(done)
    assert one["figures"]["J"] == {"mean": 0.5, "deviation": None} and one["runs"] == 2


def test_values_are_read_as_the_command_line_reads_them() -> None:
    plain = get_recipe("tpavi_s4_r50")
    texts = ["model.valid-mask=True,False", "data.augment=flip colour,flip", "train.ema=None,0.9"]
    made = variants(plain, texts)
    assert len(made) == 8
    assert made[0].recipe.model.valid_mask and not made[4].recipe.model.valid_mask  # type: ignore[attr-defined]
    assert made[0].recipe.data.augment == ("flip", "colour") and made[2].recipe.data.augment == ("flip",)
    assert (made[0].recipe.train.ema, made[1].recipe.train.ema) == (None, 0.9)
    assert made[0].values == {"model.valid_mask": "True", "data.augment": "flip colour", "train.ema": "None"}
    assert made[0].folder == "model.valid_mask=True,data.augment=flip_colour,train.ema=None"
    assert len({variant.folder for variant in made}) == 8


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["train.sed=1"], r"which the recipe does not have; did you mean 'train.seed'\?"),
        (["train.seed"], r"wanted FIELD=VALUE,VALUE"),
        (["train.seed=1,"], r"wanted FIELD=VALUE,VALUE"),
        (["train.seed=1", "train.seed=2"], r"names train.seed twice"),
    ],
)
def test_fields_that_do_not_exist_are_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        variants(get_recipe("tpavi_s4_r50"), texts)


def test_a_wrong_value_ends_the_command_before_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        avseg(["train", "tpavi_s4_r50", "--sweep", "train.seed=0,x", "--out", str(tmp_path / "out")])
    assert "train.seed" in capsys.readouterr().err and not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="choose another --out"):
        avseg(["train", "tpavi_s4_r50", "--sweep", "train.seed=0,1", "--no-resume"])


def test_the_command_runs_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a training that stands in for that of a whole network."""
    seen: list[Recipe] = []

    def train_recipe(of: Recipe, folder: Path, **_: Any) -> Path:
        seen.append(of)
        if of.train.seed == 1:
            raise ValueError("no such folder")
        return train_tiny(replace(recipe(epochs=1), data=of.data, model=recipe().model), folder)

    monkeypatch.setattr("avseg.engine.training.run.train_recipe", train_recipe)
    words = ["--sweep", "train.seed=0,1", "--sweep", "train.ema=0.9", "--out", str(tmp_path)]
    assert avseg(["train", "tpavi_s4_r50", "--optim.lr", "1e-5", *words]) == 1
    assert [(of.train.seed, of.train.ema, of.optim.lr) for of in seen] == [(0, 0.9, 1e-5), (1, 0.9, 1e-5)]
    printed = capsys.readouterr().out
    assert "failed: no such folder" in printed and f"table: {tmp_path / 'sweep.json'}" in printed
    assert [row["state"] for row in table(tmp_path)["runs"]] == ["finished", "failed"]
    assert command.parse("tpavi_s4_r50", []).sweep == ()
