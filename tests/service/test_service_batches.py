"""`avseg serve --batch`: several jobs in one batch, counted for Prometheus; whose fault it is that a process ends."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from avseg.engines.records import Choice
from avseg.inference.folder import predict_paths
from avseg.jobs import JobStopped, Order, Worker, WorkerDied
from avseg.jobs.child import Child
from avseg.service.settings import Settings
from jobs.test_batching import MOST_PIXELS, film, labels
from service.test_service_parts import Bench, Fake

pytestmark = pytest.mark.extra


class MeetingWorker(Worker):
    """Two jobs that wait for each other before their first step and at every later one."""

    def __init__(self, device: str, choice: Choice, together: int, merged: Any) -> None:
        super().__init__(device, choice, together, merged)
        self._child = Child("jobs.meeting:patient_meeting", device, choice, together, doing="segments", places=together)


def test_jobs_share_batches_and_keep_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [film(tmp_path / f"{seed}.mp4", seed) for seed in (1, 2)]
    bench = Bench(tmp_path / "state", MeetingWorker, monkeypatch, batch=2)
    jobs = [bench.send(path, save=("masks",), fps=5.0) for path in films]
    bench.until(lambda: [bench.state(job) for job in jobs] == ["done"] * 2)
    told = bench.service.metrics.text().decode()
    bench.service.close()
    counts = {place: float(count) for place, count in re.findall(r'avseg_batch_jobs_bucket{le="(.+?)"} (.+)', told)}
    assert counts["1.0"] == 0 < counts["2.0"] == counts["+Inf"]
    predict_paths(list(map(str, films)), "demo", tmp_path / "own", save=("masks",), fps=5.0, device="cpu")
    for path, job in zip(films, jobs, strict=True):
        found = labels(bench.service.folder(job) / "out" / path.stem)
        own = labels(tmp_path / "own" / path.stem)
        assert own.any() and (found != own).mean() <= MOST_PIXELS


def test_a_common_death_counts_for_no_job_and_each_is_then_made_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, bool]] = []
    both, counting = threading.Barrier(2, timeout=120), threading.Lock()

    class Crowded(Fake):
        def run(self, order: Order, told: Any, stop: threading.Event, limits: Any, alone: bool = False) -> Path:
            job = order.out.parent.name
            with counting:
                tried.append((job, alone))
            if not alone:
                raise WorkerDied("the process ended unexpectedly", shared=True, first=both.wait() == 0)
            if job == poison.id:
                raise WorkerDied("the process ended unexpectedly")
            return super().run(order, told, stop, limits)

    bench = Bench(tmp_path, Crowded(lambda *_: None), monkeypatch, batch=2)
    poison, good = bench.send(), bench.send()
    bench.until(lambda: (bench.state(poison), bench.state(good)) == ("failed", "done"))
    deaths = {job.id: found.deaths for job in (poison, good) if (found := bench.service.store.find(job.id))}
    assert deaths == {poison.id: 1, good.id: 0}
    assert sorted(tried) == sorted([(poison.id, False), (good.id, False), *[(poison.id, True)] * 2, (good.id, True)])
    assert b"avseg_worker_deaths_total 3.0" in bench.service.metrics.text()
    bench.until(lambda: not bench.service.suspects)
    bench.service.close()


def test_a_job_whose_process_was_ended_for_another_begins_again_without_a_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        if worker.runs < 4:
            raise JobStopped("another job's process was ended")

    worker = Fake(interrupt)
    bench = Bench(tmp_path, worker, monkeypatch)
    job = bench.send()
    bench.until(lambda: bench.state(job) == "done")
    found = bench.service.store.find(job.id)
    assert found is not None and (found.starts, found.deaths) == (4, 0)
    bench.service.close()


@pytest.mark.parametrize("batch", [0, -1, 65])
def test_a_number_of_jobs_that_cannot_be_is_refused(batch: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"batch is {batch}, wanted 1 to 64 jobs"):
        Settings(("demo",), tmp_path, batch=batch)
