"""A real Ray cluster of two nodes with small object stores, whose processes and nodes are killed."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avseg.batch import BatchPlan, read_manifest, run_batch
from avseg.batch.run import BatchReport
from batch_drivers import killed_before_the_end, results_of
from batch_films import FPS, files_of, film
from extras import needs

pytestmark = [pytest.mark.extra, pytest.mark.timeout(1800)]

STORE = 80 * 2**20
"""Bytes of an object store; Ray takes no less than 75 MB."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of two CPUs."""
    needs("ray")
    environ = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    before = {name: os.environ.get(name) for name in environ}
    os.environ.update(environ)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": STORE})
    made.second = made.add_node(num_cpus=2, object_store_memory=STORE)
    made.wait_for_nodes()
    yield made
    made.shutdown()
    gc.collect()  # as `disconnect` does
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def batch(cluster: Any, out: Path, *inputs: Path, actors: int = 2) -> BatchReport:
    from avseg.batch.on_ray import RayPool, RayRunner

    plan = BatchPlan("demo", str(out), fps=FPS, devices=("cpu",), tries=2)
    pool = RayPool(cluster.address, least=actors, most=actors)
    return run_batch(plan, [str(path) for path in inputs], RayRunner(plan, pool))


def actors() -> list[int]:
    """Processes of the pool: the nodes are children of this process, and their processes are theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
            if words.startswith(b"ray::") and b"RayTries" in words and parent(parent(path.parent)) == os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def parent(process: Path | int) -> int:
    status = (Path("/proc") / str(process) / "stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def test_the_command_prints_no_lines_of_ray(cluster: Any, folder: Path, tmp_path: Path) -> None:
    words = ["batch", str(folder), "--model", "demo", "--out", str(tmp_path / "out"), "--fps", str(FPS)]
    words += ["--runner", "ray", "--ray.address", cluster.address]
    ran = subprocess.run(
        [sys.executable, "-m", "avseg", *words], capture_output=True, text=True, timeout=900, check=True
    )
    assert "5 segmented" in ran.stdout + ran.stderr and "connecting to Ray" in ran.stderr
    assert not [line for line in ran.stderr.splitlines() if "INFO" in line or "WARNING" in line or "deprecated" in line]


def test_a_killed_driver_loses_nothing_and_does_nothing_twice(
    cluster: Any, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    on_ray = ("--runner", "ray", "--ray.address", cluster.address, "--ray.least", "2", "--jobs", "2")
    out, made = killed_before_the_end(folder, tmp_path, 5, *on_ray)
    ended = time.monotonic() + 60
    while actors():  # Ray ends those of a lost driver
        assert time.monotonic() < ended
        time.sleep(0.1)
    report = batch(cluster, out, folder)
    assert report.there >= len(made) and report.done + report.there == 5 and not report.failed, report
    assert made.items() <= results_of(out).items()
    assert files_of(out / "videos") == expected
    rows = list(read_manifest(out))
    assert [(row["id"], row["status"]) for row in rows] == [(name, "done") for name in ids_of(folder)]
    lines = [line for path in out.glob("manifest/*.jsonl") for line in path.read_text().splitlines()]
    notes = [json.loads(line) for line in lines if line.endswith("}")]  # the last one may be cut
    segmented = [note["id"] for note in notes if note["seconds"]]
    assert len(segmented) == len({*segmented})


def test_fewer_videos_than_the_least_number_of_actors(cluster: Any, folder: Path, tmp_path: Path) -> None:
    """As in a run that goes on with its last video, and in a second round."""
    video = sorted(folder.rglob("*.mp4"))[0]
    report = batch(cluster, tmp_path, video, actors=3)
    assert report.done == 1 and not report.failed, report


def ids_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.mp4"))


def test_lost_processes_and_nodes_cost_no_result(
    cluster: Any, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    ids = ids_of(folder)
    out, broken = tmp_path / "out", tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    killed: list[str] = []

    def kill() -> None:
        until(out, 1)
        for process in actors()[:1]:
            os.kill(process, signal.SIGKILL)
            killed.append("process")
        if until(out, 3) < len(ids):
            cluster.remove_node(cluster.second, allow_graceful=False)
            killed.append("node")

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    report = batch(cluster, out, folder, broken)
    thread.join(60)
    assert killed == ["process", "node"]
    assert report.done + report.there == len(ids) and list(report.failed) == ["broken.mp4"], report
    assert "cannot be opened as a video" in report.failed["broken.mp4"]
    assert files_of(out / "videos") == expected
    rows = list(read_manifest(out))
    assert [row["id"] for row in rows] == sorted([*ids, "broken.mp4"])


def until(out: Path, count: int) -> int:
    while True:
        found = len(list(out.glob("videos/**/result.json")))
        if found >= count:
            return found
        time.sleep(0.005)


def test_a_pool_that_the_cluster_has_no_room_for_is_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"the cluster has \d+ CPUs, but 64 actors need 64; use fewer with --ray\.least"
    ):
        batch(cluster, tmp_path / "out", film(tmp_path / "a.mp4", 1), actors=64)
