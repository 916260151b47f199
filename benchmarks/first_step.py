"""The first step of every recipe, in a fresh process on the CPU: seconds to the banner and to the end, and peak memory.

Imports are counted apart: `imports_s` is what Python had spent in them when the banner came, wherever they stand, and
`banner_s` what the command had taken besides. Both by the clock and, as `_cpu_s`, in processor time, which other
programs that run beside do not change. Data sets are the synthetic
ones, six clips or videos of the recipe's own layout; nothing is downloaded: backbones begin from nothing
(`--init.needs`). A step has two clips in place of the recipe's, so that it fits into memory; sizes are the recipe's.
Then the one clip that is held out is validated. Prints a line a recipe, and JSON.

    python benchmarks/first_step.py --recipes tpavi_s4_r50 avism_r50 --limit 180
    python benchmarks/first_step.py --recipes demo --words --train.batch-size 1
"""

from __future__ import annotations

import argparse
import builtins
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHORT = ("--train.steps", "1", "--train.workers", "0", "--train.batch-size", "2", "--train.accumulate", "1")
FROM_NOTHING = ("--init.needs",)
SYNTH = ("--clips", "6", "--size", "128", "160")
"""Of every split there is a clip."""


def world(name: str, root: Path) -> tuple[str, ...]:
    """The options with which a recipe of the data set `name` finds a synthetic one, which is written if need be."""
    if name == "synth":
        return "--data.clips", "4", "--data.held-out-clips", "1", "--val.held-out-clips", "1"
    if not (root / name).is_dir():
        own = ("--seconds", "3", "4") if name == "aviseg" else () if name.startswith("vpo") else ("--no-video",)
        words = ("data", "synth", name, "--root", str(root / name), *SYNTH, *own)
        subprocess.run([sys.executable, "-m", "avseg", *words], check=True, capture_output=True)
        if name == "aviseg":
            write_features(root / name)
    return "--data.root", str(root / name)


def write_features(root: Path) -> None:
    """Features of the sound, which AVISM's recipes read, of noise: the weights that make them are nobody's here."""
    import numpy as np

    for sound in root.glob("*/WAVAudios/*.wav"):
        frames = len(list((sound.parents[1] / "JPEGImages" / sound.stem).iterdir()))
        place = sound.parents[1] / "FEATAudios" / f"{sound.stem}.npy"
        place.parent.mkdir(exist_ok=True)
        np.save(place, np.random.default_rng(0).random((frames, 128), dtype=np.float32))


def now() -> tuple[float, float]:
    """s by the clock and of processor time."""
    return time.perf_counter(), time.process_time()


class Imports:
    """Seconds that imports take, those that imports start not counted twice."""

    def __init__(self) -> None:
        self.clock, self.cpu, self._depth, self._import = 0.0, 0.0, 0, builtins.__import__
        builtins.__import__ = self._timed

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        if self._depth:
            return self._import(*args, **kwargs)
        self._depth, (clock, cpu) = 1, now()
        try:
            return self._import(*args, **kwargs)
        finally:
            self._depth, after = 0, now()
            self.clock, self.cpu = self.clock + after[0] - clock, self.cpu + after[1] - cpu


def one(words: list[str]) -> dict[str, Any]:
    """Run `avseg WORDS` here; when its banner came, and how much memory it took."""
    (clock, cpu), imports, found = now(), Imports(), dict[str, Any]()
    from avseg import cli, progress

    line = progress.Progress.line

    def heard(self: progress.Progress, text: str) -> None:
        if text.startswith("training ") and not found:
            came = now()
            found["banner_s"], found["banner_cpu_s"] = came[0] - clock - imports.clock, came[1] - cpu - imports.cpu
            found["imports_s"], found["imports_cpu_s"] = imports.clock, imports.cpu
        line(self, text)

    progress.Progress.line = heard  # type: ignore[method-assign]
    code, ended = cli.run(words), now()
    found["all_s"], found["all_cpu_s"] = ended[0] - clock, ended[1] - cpu
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found["peak_gib"] = int(next(text for text in lines if text.startswith("VmHWM")).split()[1]) / 2**20
    return {"status": code, **{name: round(value, 2) for name, value in found.items()}}


def fresh(words: list[str], limit: int, gib: float) -> dict[str, Any]:
    """The same in a process of its own, which is ended after `limit` s of processor time or above `gib` GiB."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        command = [sys.executable, __file__, "--one", *words]
        process = subprocess.Popen(command, stdout=out, stderr=err, preexec_fn=prepare)
        while process.poll() is None:
            time.sleep(0.2)
            if resident(process.pid) > gib:
                process.kill()
                process.wait()
                return {"status": f"skipped: over {gib:g} GiB"}
        if process.returncode == -signal.SIGXCPU:
            return {"status": f"skipped: over {limit} s of processor time"}
        out.seek(0), err.seek(0)
        if process.returncode:
            return {"status": (err.read().strip().splitlines() or ["ended without a word"])[-1]}
        return dict[str, Any](json.loads(out.read().splitlines()[-1]))


def resident(pid: int) -> float:
    """GiB of memory of a process; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096 / 2**30
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2:])))
        return
    from avseg.recipes import RECIPES, get_recipe

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--limit", type=int, default=180, help="s of processor time a recipe")
    parser.add_argument("--gib", type=float, default=12.0, help="of memory a recipe")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--words", nargs=argparse.REMAINDER, default=[], help="more words for `avseg train`")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for recipe in options.recipes:
            place = world(get_recipe(recipe).data.name, Path(name))
            words = ["train", recipe, "--out", f"{name}/runs/{recipe}", *SHORT, *FROM_NOTHING, *place, *options.words]
            results[recipe] = fresh(words, options.limit, options.gib)
            print(f"{recipe:30}{results[recipe]}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    raise SystemExit(any(result["status"] != 0 for result in results.values()))


if __name__ == "__main__":
    main()
