"""One worker against two, of the local runner and of Ray: are two of them twice as fast, and of what bytes are results?

Runs `avseg batch` four times on the same films: one and two local processes, one and two actors of a Ray cluster of
this machine, each worker with one thread. `span` are the seconds from the first video's begin to the last one's end,
without the start of the processes; `wall` are those of the whole command, `cpu` the processor time of all its
processes, Ray's own too. Prints JSON; the exit status is 1 where results differ.

    python benchmarks/batch_workers.py --videos 120
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from films_of_batches import digests, make_films

WORKERS = (1, 2)
TICK = os.sysconf("SC_CLK_TCK")
LOOK = 0.2
"""s between two looks at the processes."""


def words(films: Path, out: Path, runner: str, jobs: int) -> list[str]:
    """A command."""
    own = ["--model", "demo", "--out", str(out), "--fps", "5", "--devices", "cpu", "--threads", "1"]
    least = ["--ray.least", str(jobs)] if runner == "ray" else []
    command = [sys.executable, "-m", "avseg", "batch", str(films), *own]
    return [*command, "--runner", runner, "--jobs", str(jobs), *least]


def stats() -> dict[int, tuple[int, float]]:
    """Parent and processor time of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(path.parent.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK)
    return found


class Family:
    """A process and all that it and they have started, also where a parent is gone."""

    def __init__(self, process: int) -> None:
        self.spent = {process: 0.0}
        """s of processor time when each was last seen."""

    def look(self) -> None:
        """See who is there."""
        found = stats()
        more = True
        while more:
            new = [process for process, (parent, _) in found.items() if parent in self.spent]
            more = any(process not in self.spent for process in new)
            self.spent.update({process: 0.0 for process in new if process not in self.spent})
        self.spent.update({process: seconds for process, (_, seconds) in found.items() if process in self.spent})


def measured(films: Path, out: Path, runner: str, jobs: int) -> dict[str, Any]:
    """Run a batch; its times."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as told:
        driver = subprocess.Popen(words(films, out, runner, jobs), env=environ, stdout=told, stderr=told)
        family = Family(driver.pid)
        while driver.poll() is None:
            family.look()
            time.sleep(LOOK)
        told.seek(0)
        if driver.returncode:
            sys.exit(f"{runner} with {jobs} ended with {driver.returncode}: {told.read().decode()[-1000:]}")
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    moments = [[datetime.fromisoformat(row[name]) for row in rows] for name in ("begun", "ended")]
    span = (max(moments[1]) - min(moments[0])).total_seconds()
    return {
        "span": round(span, 2),
        "videos_per_second": round(len(rows) / span, 3),
        "wall": round(time.monotonic() - begun, 2),
        "cpu": round(sum(family.spent.values()), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=120)
    parser.add_argument("--seconds", type=int, default=8, help="of each video")
    parser.add_argument("--runners", nargs="+", choices=("local", "ray"), default=["local", "ray"])
    options = parser.parse_args()
    figures: dict[str, Any] = {"videos": options.videos, "seconds_of_a_video": options.seconds, "cores": os.cpu_count()}
    found = []
    with tempfile.TemporaryDirectory() as name:
        films = Path(name) / "films"
        make_films(films, options.videos, options.seconds)
        for runner in options.runners:
            for jobs in WORKERS:
                out = Path(name) / f"{runner} {jobs}"
                figures[f"{runner}_{jobs}"] = told = measured(films, out, runner, jobs)
                print(json.dumps({f"{runner}_{jobs}": told}), file=sys.stderr, flush=True)
                found.append(digests(out / "videos"))
            one, two = (figures[f"{runner}_{jobs}"]["span"] for jobs in WORKERS)
            figures[f"{runner}_ratio"] = round(one / two, 3)
    figures["same_bytes"] = all(one == found[0] for one in found)
    print(json.dumps(figures, indent=1))
    raise SystemExit(not figures["same_bytes"])


if __name__ == "__main__":
    main()
