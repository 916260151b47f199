"""A checkpoint's bytes follow its content, not which objects the content is made of."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from avseg.engine.training.checkpoint import read_checkpoint, write_checkpoint


def test_a_state_that_was_read_is_written_as_it_was(tmp_path: Path) -> None:
    weights = OrderedDict([("a.weight", torch.arange(3.0)), ("b.weight", torch.zeros(2))])
    moments = {number: {"step": torch.tensor(5.0), "exp_avg": torch.ones(3)} for number in range(3)}
    groups = [{"name": "a", "betas": (0.9, 0.999), "params": [0, 1]}, {"name": "step", "betas": (0.9, 0.999)}]
    state: dict[str, Any] = {"model": weights, "optimizer": {"state": moments, "groups": groups}, "best": {"a": 0.5}}
    first = write_checkpoint(tmp_path / "first", 1, state)
    read = read_checkpoint(first)
    read.pop("format_version")
    fresh = "".join(["st", "ep"])  # equal, and another object
    read["optimizer"]["state"][1] = {fresh: torch.tensor(5.0), "exp_avg": torch.ones(3)}
    second = write_checkpoint(tmp_path / "second", 1, read)
    assert first.read_bytes() == second.read_bytes()
    assert isinstance(read_checkpoint(second)["model"], OrderedDict)
    assert torch.equal(read_checkpoint(second)["model"]["a.weight"], weights["a.weight"])
