"""The driver of a long list: its memory, how soon a half-done run goes on, and how quick the manifest is read.

Makes tiny films (hard links), begins `avseg batch`, ends it with SIGTERM when half of them are done, begins it again
and lets it end. Prints JSON: the driver's memory in MiB (its peak, and what it gained over the second half of a run),
the seconds from the second start to the first new result, and those of reading the manifest.


    python benchmarks/batch_driver.py --videos 20000 --jobs 2
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from films_of_batches import make_films


def watched(words: list[str], results: Path, until: int | None) -> dict[str, Any]:
    """Run a driver, to its end or until so many results are there; its memory, and when the first result came."""
    before = count(results)
    begun, first, memory = time.monotonic(), None, list[float]()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = manifests(results)
    while process.poll() is None:
        held = resident(process.pid)
        memory += [held] if held else []
        if first is None and manifests(results) > lines:
            first = time.monotonic() - begun
        if until is not None and manifests(results) >= until:
            process.send_signal(signal.SIGTERM)
            until = None
        time.sleep(0.2)
    told = process.communicate()[1]
    if process.returncode not in (0, 130):
        raise RuntimeError(f"the driver ended with {process.returncode}: {told[-1000:]}")
    half = memory[len(memory) // 2 :] or [0.0]
    return {
        "before": before,
        "after": count(results),
        "seconds": round(time.monotonic() - begun, 1),
        "first_result_after_seconds": None if first is None else round(first, 2),
        "peak_mib": round(max(memory, default=0.0), 1),
        "gained_in_second_half_mib": round(half[-1] - half[0], 1),
    }


def resident(process: int) -> float:
    """MiB that a process holds."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def manifests(results: Path) -> int:
    """Lines that runs have noted."""
    return sum(path.read_bytes().count(b"\n") for path in (results / "manifest").glob("*.jsonl"))


def count(results: Path) -> int:
    return sum(1 for _ in (results / "videos").glob("**/result.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        films, out = Path(name) / "films", Path(name) / "out"
        make_films(films, options.videos)
        own = ["--model", "demo", "--fps", "1", "--devices", "cpu", "--jobs", str(options.jobs)]
        words = [sys.executable, "-m", "avseg", "batch", str(films), "--out", str(out), *own]
        figures: dict[str, Any] = {"videos": options.videos, "jobs": options.jobs}
        figures["first_half"] = watched(words, out, options.videos // 2)
        figures["second_half"] = watched(words, out, None)
        figures["nothing_left"] = watched(words, out, None)
        begun = time.perf_counter()
        rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
        figures["statuses"] = dict(Counter(row["status"] for row in rows))
        figures["manifest_seconds"] = round(time.perf_counter() - begun, 3)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
