"""A run that is copied to object storage goes on there on a machine that has nothing of it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from tiny_run import Stop, TinyConfig, TinyModel, TinyWorld, assert_same_run, recipe

from avseg.engine import train
from avseg.io import remote
from avseg.types import Task
from buckets import keys_for, s3_server


@pytest.fixture
def place() -> str:
    fsspec.filesystem("memory").store.clear()
    return "memory://bucket/run"


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.extra)])
def any_place(request: pytest.FixtureRequest, place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """In memory, and in a bucket of a real server."""
    if request.param == "memory":
        yield place
        return
    with s3_server() as server, keys_for(server, monkeypatch):
        fsspec.filesystem("s3").mkdir("runs")
        yield "s3://runs/run"


def run(folder: Path, stop: int = 0, resume: bool = True, **changes: Any) -> Path:
    torch.manual_seed(0)
    model = TinyModel(TinyConfig(), Task("binary"))
    model.on_step = Stop(stop) if stop else None
    plain = {"save_every": 2, "ema": 0.9, "epochs": 3} | changes
    return train(model, TinyWorld(14), TinyWorld(4, seed=1), recipe(**plain), folder, resume=resume)


def test_a_run_goes_on_where_its_folder_is_gone(tmp_path: Path, any_place: str) -> None:
    run(tmp_path / "whole")
    for number, batch in enumerate((9, 4)):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / f"machine{number}", batch, store=any_place)
    names = remote.listed(f"{any_place}/checkpoints")
    assert len(names) == 2 and names[-1] >= "step-000000010.pt"
    last = run(tmp_path / "machine2", store=any_place)
    assert_same_run(tmp_path / "whole", tmp_path / "machine2")
    held = {name: remote.read(f"{any_place}/{name}") for name in remote.listed(any_place)}
    assert held == {
        path.name: path.read_bytes() for path in last.parent.iterdir() if path.is_file() and path.name[0] != "."
    }
    with pytest.raises(ValueError, match="holds a finished run"):
        run(tmp_path / "machine3", store=any_place)


def test_a_folder_that_is_ahead_of_the_store_stays(tmp_path: Path, place: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", 5, store=place)
    shutil.copytree(tmp_path / "run", tmp_path / "ahead")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "ahead", 6)
    run(tmp_path / "ahead", store=place)
    run(tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "ahead")


def test_a_store_of_another_run_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", 5, store=place)
    with pytest.raises(ValueError, match=r"memory://bucket/run holds a run of another recipe \(train\.seed was 123"):
        run(tmp_path / "other", store=place, seed=1)
    with pytest.raises(ValueError, match="memory://bucket/run holds an unfinished run; resume it"):
        run(tmp_path / "again", store=place, resume=False)
    with pytest.raises(ValueError, match=r"train\.store is 'bucket/run', wanted a place such as s3://bucket/run"):
        run(tmp_path / "local", store="bucket/run")


def test_a_store_that_fails_does_not_stop_a_run(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(self: Any, *_: Any, **__: Any) -> None:
        raise PermissionError("secret=abc for https://user:secret@host/bucket?X-Amz-Signature=abcdef")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", refused)
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match=r"the run is finished in .*, but not copied"):
        run(tmp_path / "run", store=place)
    assert (tmp_path / "run" / "summary.json").is_file()
    lines = [record.message for record in caplog.records if "was not copied" in record.message]
    assert len(lines) > 3 and "access is denied" in lines[0]
    assert not any("X-Amz-Signature" in line or "user:" in line for line in lines)


def test_a_machine_without_the_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    from avseg.engine.training.store import need_checkpoint

    with pytest.raises(FileNotFoundError, match=r"which is missing on this machine; use the same --out"):
        need_checkpoint(tmp_path / "step-000000002.pt", None)
