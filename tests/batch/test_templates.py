"""The templates of `examples/cluster` call the command with words that it takes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from avseg.cli import command_of
from avseg.commands.parse import Command

CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"


def parsed(words: list[str]) -> dict[str, object]:
    """What the command is called with."""
    command, rest = command_of(words)
    assert isinstance(command, Command) and isinstance(rest, list)
    call = command.parse(rest)
    return dict(call.keywords, **dict(zip(("videos",), call.args, strict=False)))


def test_a_task_of_an_array_takes_its_part(tmp_path: Path) -> None:
    stand_in = tmp_path / "avseg"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_ARRAY_TASK_COUNT": "32"}
    command = ["bash", str(CLUSTER / "slurm.sh"), "s3://bucket/clips", "model.safetensors", "s3://bucket/out"]
    told = subprocess.run(
        command, env={**environ, "SLURM_ARRAY_TASK_ID": "7"}, check=True, capture_output=True, text=True
    )
    given = parsed(told.stdout.splitlines())
    assert given["runner"].shard == (7, 32)  # type: ignore[attr-defined]
    assert given["videos"] == ["s3://bucket/clips"] and given["out"] == "s3://bucket/out"


def test_a_pod_of_an_indexed_job_takes_its_part() -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((CLUSTER / "kubernetes.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words = [word.replace("$(JOB_COMPLETION_INDEX)", "31") for word in (*container["command"], *container["args"])]
    given = parsed(words[1:])
    assert given["runner"].shard == (31, job["spec"]["completions"])  # type: ignore[attr-defined]
