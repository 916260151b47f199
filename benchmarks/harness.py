"""What benchmarks share: sides timed in turn, peaks of memory, processes of their own, and how figures are told.

    runs = {"ours": ours, "published": published, "floor": floor}
    seconds = {name: spent.wall for name, spent in in_turn(runs, repeats=3).items()}
    tell({"seconds": seconds, "ratio": seconds["ours"] / seconds["published"]})

The floor of a measurement is what the work cannot do without: one pass over the bytes, the backbone alone, decoding
alone. Each benchmark times its own beside what it measures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch.profiler import ProfilerActivity, profile

Clock = Literal["wall", "cpu"]
Run = Callable[[], Any]


@dataclass(frozen=True)
class Spent:
    """What a run took."""

    wall: float
    """s by the clock."""
    cpu: float
    """s of processor time of this process, all threads together; other programs do not lengthen it."""
    result: Any = None
    """What the last run gave."""

    def of(self, clock: Clock) -> float:
        """s."""
        return self.wall if clock == "wall" else self.cpu


def in_turn(
    runs: Mapping[str, Run],
    repeats: int = 1,
    *,
    warm: bool = True,
    device: str = "cpu",
    pick: Callable[[Sequence[float]], float] = min,
) -> dict[str, Spent]:
    """Run all of `runs` one after the other, `repeats` times, so that what slows the machine down slows them alike.

    Args:
        warm: Begin with a round that does not count.
        device: Where they work; a GPU is waited for.
        pick: Which of the times is told: the least, or `statistics.median` where each run draws what it works on.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    results: dict[str, Any] = {}
    for turn in range(repeats + warm):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            results[name] = run()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if turn >= warm:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: Spent(pick([wall for wall, _ in took]), pick([cpu for _, cpu in took]), results[name])
        for name, took in times.items()
    }


def spent(run: Run, repeats: int = 1, **options: Any) -> Spent:
    """The same of one run alone; by default without a round for warmth where it is done once."""
    return in_turn({"": run}, repeats, **{"warm": repeats > 1, **options})[""]


def peak_bytes(run: Run, device: str = "cpu") -> int:
    """Highest sum of what `run` allocates, without what was there before."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    total = peak = 0
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def peak_mib() -> float:
    """Most memory that this process alone has had, in MiB; ru_maxrss would start from that of its parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024, 1)


def in_own_process(script: str, words: Sequence[str]) -> Any:
    """The JSON that a script prints in its last line, in a process of its own, whose peak of memory is its own too.

    Raises:
        CalledProcessError: it fails.
    """
    done = subprocess.run([sys.executable, script, *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def parser(text: str | None, *, threads: int, clock: bool = False, device: bool = False) -> argparse.ArgumentParser:
    """The options that benchmarks have in common.

    Args:
        text: What the script does, its docstring.
        threads: PyTorch's on the CPU, by default.
        clock: Let the user choose the clock.
        device: Let the user choose the device.
    """
    shared = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared.add_argument("--threads", type=int, default=threads)
    shared.add_argument("--out", type=Path, help="file for the figures, which are printed as well")
    if clock:
        shared.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    if device:
        shared.add_argument("--device", default="cpu")
    return shared


def options_of(shared: argparse.ArgumentParser) -> argparse.Namespace:
    """The words of the command line; sets the number of PyTorch's threads."""
    options = shared.parse_args()
    torch.set_num_threads(options.threads)
    return options


def bf16_units() -> list[str]:
    """Flags of the CPU's units that multiply in bf16, where it tells."""
    told = Path("/proc/cpuinfo")
    words = set(told.read_text(encoding="ascii", errors="replace").split()) if told.exists() else set()
    return sorted(words & {"avx512_bf16", "amx_bf16", "bf16"})


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """What figures depend on besides the code: clock, threads, device, PyTorch."""
    chosen = [getattr(options, "clock", ""), f"{options.threads} CPU threads", getattr(options, "device", "")]
    return {"clock": ", ".join(filter(None, chosen)), "torch": torch.__version__}


def tell(figures: Any, out: Path | None = None) -> None:
    """Print figures as JSON, and write them to `out`."""
    text = json.dumps(figures, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


def milliseconds(seconds: float, digits: int = 3) -> float:
    return round(1000 * seconds, digits)
