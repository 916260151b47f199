"""Two processes with half the batch each are one process with the whole batch."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from launch import run_two
from safetensors.torch import load_file
from tiny_run import rows, train_exactly

SCRIPT = Path(__file__).parent / "tiny_run.py"


def test_two_processes_train_and_judge_as_one(tmp_path: Path) -> None:
    """In float64 with frozen batch statistics: gloo, torchrun, accumulation over two batches. Of 13 clips the last
    step has one, so that the second process works with a stand-in that must not count. The script also shards the model
    (FSDP2 itself; Accelerate gives it on GPUs only) and asserts that training, checkpoint and average stay the same."""
    printed = run_two(SCRIPT, "train", str(tmp_path / "two"), "2")
    ranks = sorted(line for line in printed.splitlines() if line.startswith("rank"))
    assert ranks == ["rank 0 of 2 gloo", "rank 1 of 2 gloo"]
    assert printed.split().count("sharded") == 2
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["processes"] == 2

    train_exactly(tmp_path / "one", 4)
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert value.dtype == torch.float64 or not value.is_floating_point()
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-6)
    single, double = (rows(tmp_path / name) for name in ("one", "two"))
    assert len(single) == len(double) == 4
    assert all(abs(a["loss"] - b["loss"]) < 1e-9 for a, b in zip(single, double, strict=True))
    figures = [[row["figures"] for row in rows(tmp_path / name, "validation")] for name in ("one", "two")]
    assert figures[0] == figures[1] and len(figures[0]) == 2
