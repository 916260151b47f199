"""Runs whose length is given in steps, and rates that fall at some of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Stop, assert_same_run, recipe, rows, run, run_hooked

from avseg.engine.config import OptimConfig
from avseg.engine.training.checkpoint import newest_checkpoint
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
