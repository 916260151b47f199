"""The process that segments: the bytes of `avseg predict`, progress, a quick stop, deaths, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.engines import Choice, cache
from avseg.inference.folder import predict_paths
from avseg.io.video import write_video
from avseg.jobs import JobError, JobProgress, JobStopped, Limits, Order, Worker, WorkerDied
from avseg.jobs.predicting import Predicting
from extras import needs
from own_videos import RATE, make_video


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker("cpu")
    yield made
    made.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("videos") / "grey.mp4")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "long.mp4"
    pictures = (np.full((120, 160, 3), number % 250, np.uint8) for number in range(400))
    return write_video(path, pictures, 10, np.zeros((1, 40 * RATE), np.float32), RATE)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_results_have_the_bytes_of_predict_and_progress_goes_on(worker: Worker, video: Path, tmp_path: Path) -> None:
    told: list[JobProgress] = []
    order = Order("demo", video, tmp_path / "job", save=("overlay", "masks", "csv"), fps=2.0)
    folder = worker.run(order, told.append)
    predict_paths([str(video)], "demo", tmp_path / "own", save=order.save, fps=2.0, device="cpu")
    assert folder == tmp_path / "job" / "grey" and files(folder) == files(tmp_path / "own" / "grey")
    assert told[0].stage == "loading" and told[-1].share == 1.0
    assert [one.done for one in told] == sorted(one.done for one in told)


def test_results_of_another_precision_are_made_again(worker: Worker, video: Path, tmp_path: Path) -> None:
    order = Order("demo", video, tmp_path / "out", save=(), fps=1.0)
    told = json.loads((worker.run(order) / "result.json").read_text(encoding="utf-8"))
    assert (told["model"]["engine"], told["model"]["precision"]) == ("torch", "fp32")
    other = Worker("cpu", Choice("torch", "bf16"))
    try:
        told = json.loads((other.run(order) / "result.json").read_text(encoding="utf-8"))
    finally:
        other.close()
    assert (told["model"]["engine"], told["model"]["precision"]) == ("torch", "bf16")


@pytest.mark.extra
def test_what_is_compiled_stays_for_the_next_video(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino")
    monkeypatch.setenv("AVSEG_CACHE", str(tmp_path / "cache"))
    read: list[str] = []
    monkeypatch.setattr(cache, "read", lambda name: read.append(name))
    predicting = Predicting("cpu", Choice("openvino", "fp32"))
    order = Order("demo", video, tmp_path / "first", save=(), fps=1.0)
    folder = predicting((order, None), lambda _: None, lambda: False)
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert told["model"]["engine"] == "openvino" and any(name.endswith(".openvino") for name in read)
    read.clear()
    predicting((replace(order, out=tmp_path / "second"), None), lambda _: None, lambda: False)
    assert read == []


def test_the_model_stays_loaded_and_is_loaded_anew_for_another(worker: Worker, video: Path, tmp_path: Path) -> None:
    order = Order("demo", video, tmp_path / "first", save=(), fps=1.0)
    worker.run(order)
    process = worker.pid
    worker.run(replace(order, out=tmp_path / "second"))
    with pytest.raises(JobError, match=r"no_such\.safetensors"):
        worker.run(replace(order, model=str(tmp_path / "no_such.safetensors"), out=tmp_path / "third"))
    worker.run(replace(order, out=tmp_path / "fourth"))
    assert worker.pid == process
    assert not (tmp_path / "third").exists() or not list((tmp_path / "third").iterdir())


def test_a_refused_video_is_one_sentence_without_folders(worker: Worker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(JobError, match=r"^broken\.mp4 cannot be opened as a video") as found:
        worker.run(Order("demo", broken, tmp_path / "out"))
    assert str(tmp_path) not in str(found.value)
    assert not list((tmp_path / "out").glob("*"))


def stopped_at(worker: Worker, order: Order, reached: Any) -> float:
    """s from the wish to stop until the work had stopped."""
    stop, asked = threading.Event(), [0.0]

    def told(progress: JobProgress) -> None:
        if reached(progress) and not stop.is_set():
            asked[0] = time.monotonic()
            stop.set()

    with pytest.raises(JobStopped):
        worker.run(order, told, stop)
    return time.monotonic() - asked[0]


def test_a_stop_leaves_nothing_and_keeps_the_model(
    worker: Worker, video: Path, long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avseg.jobs.child.POLITE", 60.0)  # on a machine that others use too, frames can take long
    worker.run(Order("demo", video, tmp_path / "warm", save=(), fps=1.0))
    process = worker.pid
    order = Order("demo", long, tmp_path / "out", fps=5.0)
    stopped_at(worker, order, lambda progress: progress.done > 0)
    assert worker.pid == process
    assert not list((tmp_path / "out").iterdir())


def test_a_process_that_does_not_answer_is_ended(worker: Worker, long: Path, tmp_path: Path) -> None:
    worker.run(Order("demo", long, tmp_path / "warm", save=(), fps=1.0, end="1"))
    order, process = Order("demo", long, tmp_path / "out", fps=5.0), worker.pid
    assert process is not None

    def reached(progress: JobProgress) -> bool:
        if progress.done > 0:
            os.kill(process, signal.SIGSTOP)
            return True
        return False

    stopped_at(worker, order, reached)
    assert worker.pid != process and not list((tmp_path / "out").iterdir())


def test_a_process_that_is_killed_costs_one_order(worker: Worker, video: Path, long: Path, tmp_path: Path) -> None:
    def told(progress: JobProgress) -> None:
        if progress.done > 0 and worker.pid:
            os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(WorkerDied, match=r"ended unexpectedly \(signal 9") as found:
        worker.run(Order("demo", long, tmp_path / "out", fps=5.0), told)
    assert found.value.first and not found.value.shared
    assert not list((tmp_path / "out").iterdir())
    assert (worker.run(Order("demo", video, tmp_path / "out", save=(), fps=1.0)) / "result.json").is_file()


def test_a_video_longer_than_its_header_says_is_ended(worker: Worker, long: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"long\.mp4 lasts .* the limit is 2 s"):
        worker.run(Order("demo", long, tmp_path / "out", fps=5.0), limits=Limits(seconds=2.0))
    with pytest.raises(JobError, match=r"long\.mp4 has pictures of 160 x 120 pixels"):
        worker.run(Order("demo", long, tmp_path / "out", fps=5.0), limits=Limits(pixels=10_000))
    with pytest.raises(JobError, match=r"takes longer than the limit of 0\.2 s"):
        worker.run(Order("demo", long, tmp_path / "out", fps=5.0), limits=Limits(work=0.2))
    assert not list((tmp_path / "out").iterdir())


def test_orders_go_through_json(video: Path, tmp_path: Path) -> None:
    order = Order("demo", video, tmp_path, save=("srt",), start="1:02.5", choices={"vocabulary": "dog"})
    assert Order.from_dict(order.to_dict()) == order
    with pytest.raises(ValueError, match="did you mean 'threshold'"):
        Order.from_dict({**order.to_dict(), "treshold": 1.0})
    with pytest.raises(ValueError, match="there is no kind of output 'mask'"):
        replace(order, save=("mask",)).check()
