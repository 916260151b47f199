"""Measures: what a run watches and does not minimise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import Stop, TinyModel, TinyOutput, TinyWorld, assert_same_run, recipe, rows, run
from torch import Tensor

from avseg.engine.training.log import Meter, Tallies, step_line
from avseg.engine.training.train import train
from avseg.types import Task

ENTRIES = 6


class Watched(TinyModel):
    """Counts the brightness of its logits in a table of six entries, of which the last is never taken."""

    def measures(self, output: TinyOutput) -> dict[str, Tensor]:
        places = (output.logits.sigmoid() * (ENTRIES - 1)).floor().long().clamp(max=ENTRIES - 2).flatten()
        taken = torch.zeros(ENTRIES, dtype=torch.float64).scatter_add_(0, places, torch.ones(len(places)).double())
        return {"level": taken, "mean_logit": output.logits.mean()}


def watched(folder: Path, stop: Stop | None = None, **changes: Any) -> list[dict[str, Any]]:
    """The rows of a short run of `Watched`."""
    of = recipe(**changes)
    torch.manual_seed(0)
    model = Watched(of.model, Task("binary"))  # type: ignore[arg-type]
    model.on_step = stop  # type: ignore[assignment]
    train(model, TinyWorld(14), None, of, folder)
    return rows(folder)


def uniform(*counts: float) -> Tensor:
    return torch.tensor(counts, dtype=torch.float64)


def test_a_tally_is_perplexity_largest_share_and_what_is_never_taken() -> None:
    tallies = Tallies()
    assert tallies.take_in("code", uniform(1, 1, 1, 0)) == pytest.approx(
        {"code_perplexity": 3.0, "code_largest_share": 1 / 3, "code_unused": 1}
    )
    second = tallies.take_in("code", uniform(0, 0, 0, 2.97))
    assert second["code_perplexity"] == pytest.approx(3.464, abs=1e-3) and second["code_unused"] == 0
    assert second["code_largest_share"] == pytest.approx(0.5)
    for _ in range(600):  # what is not taken for long is unused again
        last = tallies.take_in("code", uniform(0, 0, 0, 1))
    assert last["code_unused"] == 3 and last["code_perplexity"] < 1.01
    nothing = Tallies().take_in("code", uniform(0, 0))
    assert nothing == {"code_perplexity": 1.0, "code_largest_share": 0.0, "code_unused": 2}


def test_a_meter_adds_counts_and_averages_scalars() -> None:
    """Of three batches in a step the last one is a stand-in, which does not count."""
    meter, terms = Meter(), {"loss": torch.tensor(1.0)}
    for counts, scalar, weight in (((4.0, 0.0), 1.0, 0.25), ((1.0, 3.0), 3.0, 0.75), ((9.0, 9.0), 100.0, 0.0)):
        meter.add(terms, weight, {"code": uniform(*counts), "size": torch.tensor(scalar)})
    meter.end_step({"step": 1, "epoch": 0, "lr": {"all": 1e-3}})
    [row] = meter.rows(lambda values: values)
    assert row["terms"] == {"loss": 1.0} and row["measures"]["size"] == pytest.approx(2.5)
    assert row["measures"]["code_largest_share"] == pytest.approx(5 / 8)
    assert "code_largest_share 0.625" in step_line(row, 10)


def test_measures_stand_beside_the_terms(tmp_path: Path) -> None:
    steps = watched(tmp_path)
    names = {"level_perplexity", "level_largest_share", "level_unused", "mean_logit"}
    assert len(steps) == 10 and all(set(row["measures"]) == names for row in steps)
    assert all(1 <= row["measures"]["level_perplexity"] <= 5 for row in steps)
    assert all(row["measures"]["level_unused"] >= 1 for row in steps)
    assert all(row["loss"] == sum(row["terms"].values()) for row in steps)
    plain = run(tmp_path / "plain", recipe(), val=0).parent
    assert [row["terms"] for row in rows(plain)] == [row["terms"] for row in steps]
    assert not any("measures" in row for row in rows(plain))


def test_measures_depend_neither_on_how_often_they_are_written_nor_on_a_stop(tmp_path: Path) -> None:
    """Every field that moves no curve is another one, and the third run is stopped amid an epoch."""
    whole = watched(tmp_path / "whole", accumulate=2, epochs=3)
    assert watched(tmp_path / "often", accumulate=2, epochs=3, log_every=1, save_every=1) == whole
    with pytest.raises(KeyboardInterrupt):
        watched(tmp_path / "stopped", Stop(9), accumulate=2, epochs=3)
    watched(tmp_path / "stopped", accumulate=2, epochs=3)
    assert (tmp_path / "stopped" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_counts_of_a_step_are_those_of_all_its_batches(tmp_path: Path, accumulate: int) -> None:
    """Two batches of three clips, or one of six: the same clips in a step, of 64 pixels and two frames each."""
    of: dict[str, Any] = {"batch_size": 6 // accumulate, "accumulate": accumulate, "epochs": 1, "save_every": 1}
    watched(tmp_path, **of)
    from avseg.engine.training.checkpoint import newest_checkpoint, read_checkpoint

    newest = newest_checkpoint(tmp_path / "checkpoints")
    assert newest is not None
    tally = read_checkpoint(newest)["tallies"]["level"]
    # Three steps of 6, 6 and 2 clips, the earlier ones faded.
    assert float(tally.sum()) == pytest.approx(128 * (6 * 0.99**2 + 6 * 0.99 + 2))


def test_same_runs_with_measures_are_the_same(tmp_path: Path) -> None:
    """The tally begins anew with every run of a process."""
    for name in ("one", "other"):
        of = recipe(epochs=1)
        torch.manual_seed(0)
        model = Watched(of.model, Task("binary"))  # type: ignore[arg-type]
        train(model, TinyWorld(8), TinyWorld(2, seed=1), of, tmp_path / name)
    assert_same_run(tmp_path / "one", tmp_path / "other")
