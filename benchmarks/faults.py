"""Batches whose processes, drivers and nodes are killed: is anything lost, done twice, or of other bytes?

Each case begins a batch of small films, kills something at a few random moments, starts again until the batch ends, and
compares every file with those of a run that nobody disturbed. "Done twice" counts videos that were segmented again
although a result was there. Prints JSON; the exit status is 1 where a case went wrong.

    python benchmarks/faults.py --videos 200 --kills 3
    python benchmarks/faults.py --videos 20 --cases driver worker shards two
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from films_of_batches import digests, make_films

KEPT = "kept.json"
"""What a file system held that is no longer there."""
STORE = 80 * 2**20
"""Bytes of the object store of a node of Ray; it takes no less than 75 MB."""


@dataclass
class Bench:
    """Films, what an undisturbed run makes of them, and how long it takes."""

    work: Path
    videos: int
    kills: int
    rng: random.Random
    expected: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    address: str = ""
    """Of a cluster of Ray."""
    lose_node: Callable[[], None] | None = None

    def words(self, out: Path, *more: str) -> list[str]:
        """A command."""
        own = ["--model", "demo", "--out", str(out), "--fps", "1", "--devices", "cpu", "--masks", "rle"]
        return [sys.executable, "-m", "avseg", "batch", str(self.work / "films"), *own, *more]

    def start(self, out: Path, *more: str) -> subprocess.Popen[bytes]:
        """A driver."""
        return subprocess.Popen(self.words(out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, out: Path, *more: str) -> list[str]:
        """Run until the end; what is wrong with that."""
        ended = subprocess.run(self.words(out, *more), check=False, capture_output=True, text=True)
        return [f"the last run ended with {ended.returncode}: {ended.stderr[-500:]}"] if ended.returncode else []


def case_driver(bench: Bench, out: Path, *more: str) -> list[str]:
    """kill -9 of the driver."""
    for _ in range(bench.kills):
        driver = bench.start(out, *more)
        wait_for_some(bench, out, driver)
        driver.kill()
        driver.communicate()
    return bench.finish(out, *more)


def ended(driver: subprocess.Popen[bytes]) -> list[str]:
    """What is wrong with how a driver ends."""
    told = driver.communicate()[1].decode(errors="replace")
    return [f"a driver ended with {driver.returncode}: {told[-500:]}"] if driver.returncode else []


def case_worker(bench: Bench, out: Path) -> list[str]:
    """kill -9 of processes that segment."""
    driver, killed = bench.start(out, "--jobs", "2"), 0
    while killed < bench.kills and wait_for_some(bench, out, driver):
        for process in children(driver.pid)[:1]:
            os.kill(process, signal.SIGKILL)
            killed += 1
    wrong = ended(driver)
    return wrong if killed == bench.kills else [*wrong, f"only {killed} processes were killed"]


def case_shards(bench: Bench, out: Path) -> list[str]:
    """Two tasks of an array, overlapping with a third one; one of them is killed."""
    parts = [
        ("--runner", "shards", "--num-shards", str(number), "--shard-index", str(index))
        for number, index in ((2, 0), (2, 1), (1, 0))
    ]
    tasks = [bench.start(out, *part) for part in parts]
    wait_for_some(bench, out, tasks[0])
    tasks[0].kill()
    tasks[0].communicate()
    return [*ended(tasks[1]), *ended(tasks[2]), *bench.finish(out, *parts[0])]


def case_two(bench: Bench, out: Path) -> list[str]:
    """Two drivers on one place."""
    drivers = [bench.start(out) for _ in range(2)]
    return [wrong for driver in drivers for wrong in ended(driver)]


def case_disk(bench: Bench, out: Path) -> list[str]:
    """A small file system that is full in the middle, and then is made larger."""
    out.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * bench.videos}k", "tmpfs", str(out)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        return ["no file system can be mounted here; run this case as root"]
    try:
        driver = bench.start(out)
        told = driver.communicate()[1].decode(errors="replace")
        right = driver.returncode == 1 and "no space left on device" in told
        wrong = [] if right else [f"a full disk gave {driver.returncode}: {told[-500:]}"]
        wrong += [f"left: {path}" for path in out.rglob(".*.part*")]
        subprocess.run(["mount", "-o", "remount,size=1g", str(out)], check=True)
        return wrong + bench.finish(out)
    finally:
        kept = digests(out / "videos")
        subprocess.run(["umount", str(out)], check=True)
        (out / KEPT).write_text(json.dumps(kept))


def ray_words(bench: Bench) -> tuple[str, ...]:
    return ("--runner", "ray", "--ray.address", bench.address, "--ray.least", "2", "--jobs", "2")


def case_ray_worker(bench: Bench, out: Path) -> list[str]:
    """kill -9 of an actor, and of the process that it has segment."""
    driver = bench.start(out, *ray_words(bench))
    for number in range(bench.kills):
        if wait_for_some(bench, out, driver):
            actors = [process for process in processes() if named(process, b"RayTries") and of_own_node(process)]
            for process in (children(actors[0]) if number % 2 and actors else actors)[:1]:
                os.kill(process, signal.SIGKILL)
    return ended(driver)


def case_ray_driver(bench: Bench, out: Path) -> list[str]:
    """kill -9 of the driver of a cluster."""
    return case_driver(bench, out, *ray_words(bench))


def case_ray_node(bench: Bench, out: Path) -> list[str]:
    """One node of two is lost."""
    driver = bench.start(out, *ray_words(bench))
    wait_for_some(bench, out, driver)
    assert bench.lose_node is not None
    bench.lose_node()
    return ended(driver)


CASES: dict[str, Callable[[Bench, Path], list[str]]] = {
    "driver": case_driver,
    "worker": case_worker,
    "shards": case_shards,
    "two": case_two,
    "disk": case_disk,
    "ray-worker": case_ray_worker,
    "ray-driver": case_ray_driver,
    "ray-node": case_ray_node,
}
"""A lost node comes last, as the cluster stays with one."""


def count(out: Path) -> int:
    return sum(1 for _ in (out / "videos").glob("**/result.json"))


def wait_for_some(bench: Bench, out: Path, driver: subprocess.Popen[bytes]) -> bool:
    """Until some more results are there than now, a random number; False where the driver ends before."""
    wanted = count(out) + bench.rng.randint(1, max(1, bench.videos // (2 * bench.kills)))
    while count(out) < wanted:
        if driver.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def named(process: int, word: bytes) -> bool:
    try:
        return word in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def children(of: int) -> list[int]:
    """Those that segment."""
    return [process for process in processes() if parent(process) == of and named(process, b"spawn_main")]


def parent(process: int) -> int:
    """0 where there is no such process any more."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])


def of_own_node(process: int) -> bool:
    """Whether it belongs to a node of the cluster of this script, and not of another one on this machine."""
    return parent(parent(process)) == os.getpid()


def compared(bench: Bench, out: Path) -> list[str]:
    """What is lost, too many, of other bytes, or done twice."""
    kept = out / KEPT
    found = json.loads(kept.read_text()) if kept.is_file() else digests(out / "videos")
    wrong = [f"lost: {name}" for name in bench.expected if name not in found]
    wrong += [f"too many: {name}" for name in found if name not in bench.expected]
    wrong += [f"differs: {name}" for name, digest in found.items() if bench.expected.get(name, digest) != digest]
    if kept.is_file():
        return wrong
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    if [row["id"] for row in rows] != sorted({row["id"] for row in rows}) or len(rows) != bench.videos:
        wrong.append(f"the manifest has {len(rows)} rows for {bench.videos} videos")
    return wrong + [f"{row['status']}: {row['id']}" for row in rows if row["status"] != "done"]


def twice(out: Path) -> int:
    """Videos that were segmented more than once."""
    lines = [line for path in (out / "manifest").glob("*.jsonl") for line in path.read_text().splitlines()]
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    done = Counter(row["id"] for row in rows if row["status"] == "done" and row["seconds"])
    return sum(number > 1 for number in done.values())


@contextmanager
def cluster(bench: Bench, wanted: Sequence[str]) -> Iterator[None]:
    """Two nodes of Ray on this machine, where a case wants them."""
    if not any(name.startswith("ray") for name in wanted):
        yield
        return
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": STORE})
    second = nodes.add_node(num_cpus=2, object_store_memory=STORE)
    nodes.wait_for_nodes()
    bench.address = nodes.address
    bench.lose_node = lambda: nodes.remove_node(second, allow_graceful=False)
    try:
        yield
    finally:
        nodes.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3, help="of each case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.videos, options.kills, random.Random(options.seed))
        make_films(bench.work / "films", options.videos)
        begun = time.monotonic()
        assert not bench.finish(bench.work / "whole")
        bench.seconds, bench.expected = time.monotonic() - begun, digests(bench.work / "whole/videos")
        figures: dict[str, Any] = {"videos": options.videos, "undisturbed_seconds": round(bench.seconds, 1)}
        with cluster(bench, options.cases):
            for case in options.cases:
                out, begun = bench.work / case, time.monotonic()
                wrong = CASES[case](bench, out)
                wrong += compared(bench, out)
                figures[case] = {
                    "seconds": round(time.monotonic() - begun, 1),
                    "twice": twice(out),
                    "wrong": wrong[:20],
                }
                print(json.dumps({case: figures[case]}), file=sys.stderr, flush=True)
                shutil.rmtree(out)
    print(json.dumps(figures, indent=1))
    raise SystemExit(any(of["wrong"] for of in figures.values() if isinstance(of, dict)))


if __name__ == "__main__":
    main()
