"""Tables at the width of the terminal: nothing is lost, and names are whole where there is room."""

from __future__ import annotations

import pytest

from avseg.cli import run
from avseg.commands.tables import print_table
from avseg.commands.train import _print
from avseg.engine.training.sweep import RunOutcome
from avseg.models import describe
from avseg.recipes import RECIPES

FIGURES = {"J": 0.8123, "F": 0.9001, "FDR": 0.2002, "mIoU": 0.5503}
REASON = "runs/quantised/model.quantise=False,train.seed=1 is the folder of another recipe: optim.lr differs"


@pytest.mark.parametrize("columns", [40, 60, 80, 160])
def test_a_sweep_shows_every_figure_and_every_reason(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = RunOutcome({"model.quantise": "True", "train.seed": "0"}, "a", "finished", summary={"last_figures": FIGURES})
    _print([done, RunOutcome({"model.quantise": "False", "train.seed": "1"}, "b", "failed", REASON)])
    printed = capsys.readouterr().out
    assert all(f"{value:.4f}" in printed for value in FIGURES.values())
    assert columns < 80 or max(map(len, printed.splitlines())) <= columns
    assert [word for word in REASON.split()[1:] if len(word) <= 10 and word not in printed] == []


@pytest.mark.parametrize("columns", [80, 160])
def test_names_of_models_and_recipes_are_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["models"]) == run(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    words = set(printed.split())
    assert set(RECIPES) <= words
    assert {word for row in describe() for text in row.values() for word in text.split()} <= words


def test_square_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("found", [{"what": "extra", "found": "pip install 'avseg[wandb]'"}])
    assert "avseg[wandb]" in capsys.readouterr().out
