"""Runs whose length is given in steps, and rates that fall at some of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_run import Stop, assert_same_run, recipe, rows, run, run_hooked

from avseg.engine import processes
from avseg.engine.config import OptimConfig
from avseg.engine.training.checkpoint import newest_checkpoint
from avseg.engine.training.optim import rate_factor
from avseg.engine.training.state import RunState
from avseg.engine.training.train import train
from avseg.models.header import read_header

STEPS = OptimConfig(lr=1e-2, schedule="steps", milestones=(5,), clip_norm=0.01)


def test_a_run_may_be_given_in_steps(tmp_path: Path) -> None:
    """Five batches an epoch and two of them a step: seven steps end amid the third epoch, which is validated."""
    run(tmp_path, recipe(steps=7, epochs=1, accumulate=2, optim=STEPS, eval_every=2, eval_from=1, save_every=1))
    steps = rows(tmp_path)
    assert [(row["step"], row["epoch"]) for row in steps] == [(k + 1, k // 3) for k in range(7)]
    assert [row["lr"]["head"] for row in steps] == pytest.approx([1e-2] * 5 + [1e-3] * 2)
    assert [row["epoch"] for row in rows(tmp_path, "validation")] == [1, 2]
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert (summary["steps"], summary["epochs"]) == (7, 3)
    assert read_header(tmp_path / "last.safetensors").notes == {"epoch": "2", "step": "7"}
    with pytest.raises(ValueError, match=r"train.steps is 0, wanted 1 or more"):
        recipe(steps=0)


@pytest.mark.parametrize("batch", [3, 43, 49, 60])
def test_a_run_in_steps_goes_on_bit_for_bit(tmp_path: Path, batch: int) -> None:
    """25 steps are 42 batches and 8 more: stopped in the first epoch, at the next one, in the last step, and never."""
    of = recipe(steps=25, accumulate=2, optim=STEPS, ema=0.9, save_every=2, workers=1)
    run_hooked(tmp_path / "whole", of, None)
    try:
        run_hooked(tmp_path / "stopped", of, Stop(batch))
    except KeyboardInterrupt:
        run_hooked(tmp_path / "stopped", of, None)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
    assert len(rows(tmp_path / "whole")) == 25


def test_a_run_in_steps_stopped_after_its_last_one_is_still_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = recipe(steps=4, accumulate=2, optim=STEPS, eval_from=9, save_every=1)
    run(tmp_path / "whole", of)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(train.__globals__, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "stopped", of)
    assert newest_checkpoint(tmp_path / "stopped" / "checkpoints").name == "step-000000003.pt"  # type: ignore[union-attr]
    run(tmp_path / "stopped", of)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_milestone_may_stand_at_the_first_step() -> None:
    at_once = OptimConfig(schedule="steps", milestones=(0, 2), drop=0.5)
    assert [rate_factor("steps", step, 4, at_once) for step in range(4)] == [0.5, 0.5, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"optim.milestones are \(-1,\)"):
        OptimConfig(schedule="steps", milestones=(-1,))


def test_the_first_of_equal_models_stays_the_best() -> None:
    state: Any = SimpleNamespace(best={}, figures={})
    seen = [RunState.beaten(state, {"J": j, "F": f}, ("J", "F")) for j, f in ((0.5, 0.2), (0.5, 0.2), (0.5, 0.3))]
    both = "best_J_and_F.safetensors"
    assert seen == [["best.safetensors", both], [], [both]]
    assert state.best == {"best.safetensors": 0.5, both: 0.8} and state.figures == {"J": 0.5, "F": 0.3}


def test_no_process_leaves_before_the_last_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Store:
        here = 0

        def add(self, key: str, more: int) -> int:
            self.here += more
            return self.here

        def set(self, key: str, value: str) -> None:
            told.append(f"{self.here} here: {key}")

        def wait(self, keys: list[str], patience: Any) -> None:
            told.append(f"{self.here} here: waits for {keys}")

    store = Store()
    monkeypatch.setattr(processes.distributed.distributed_c10d, "_get_default_store", lambda: store)
    monkeypatch.setattr(processes.distributed, "get_world_size", lambda: 3)
    for _ in range(3):
        processes._meet()
    waits = "waits for ['avseg/all_here']"
    assert told == [f"1 here: {waits}", f"2 here: {waits}", "3 here: avseg/all_here", f"3 here: {waits}"]
