"""What experiments share: worlds written once, trainings that go on where they stopped, means over seeds, tables.

with opened(parser(__doc__, seeds=(0, 1, 2))) as (it, options):
    it.world("vpo_ms", seed=0, clips=3000, difficulty="easy")
    facts = it.train([Run("cavp_contrast_small", f"cavp_contrast_small-{seed}", seed) for seed in options.seeds])
    it.tell({run.name: {**told, **judge(it.model(run))} for run, told in facts.items()})
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from harness import tell


@dataclass(frozen=True)
class Run:
    """One training by a recipe."""

    recipe: str
    name: str
    """Of its folder below `runs`; `a/b` lies in a folder of its own."""
    seed: int = 0
    """Sets first weights, order and augmentation; twins have the same."""
    words: tuple[str, ...] = ()
    """What else `avseg train` is told."""
    world: str = "0"
    """Folder of the world that it learns from; none where the recipe makes its clips itself."""


class Experiment:
    """A folder with worlds and runs."""

    def __init__(self, root: Path, beside: int, changes: Sequence[str] = ()) -> None:
        """`beside`: trainings at a time, a thread each; `changes`: further words for `avseg train`."""
        self.root, self.beside, self.changes = root, beside, tuple(changes)
        self._began = time.perf_counter()
        self.made = 0.0
        """s that worlds took to be written."""

    def world(self, layout: str, seed: int, clips: int, folder: str = "", **options: Any) -> Path:
        """Write the synthetic world of a seed in the layout of a data set, unless it is there.

        Raises:
            ValueError: another one is there.
        """
        from avseg.datasets.folders import write

        place, began = self.root / (folder or str(seed)), time.perf_counter()
        mark, asked = place / "world.json", json.loads(json.dumps({"clips": clips, "seed": seed, **options}))
        if not mark.exists():
            print(write(layout, place, clips, seed, **options))
            mark.write_text(json.dumps(asked), encoding="utf-8")
        elif (there := json.loads(mark.read_text(encoding="utf-8"))) != asked:
            raise ValueError(f"{place} holds the world of {there}, wanted {asked}; take another --root, or delete it")
        self.made += time.perf_counter() - began
        return place

    def train(self, runs: Sequence[Run]) -> dict[Run, dict[str, float]]:
        """Train what is not finished, by the command line; of each run the seconds of its training."""
        with ThreadPoolExecutor(self.beside) as pool:
            list(pool.map(self._train, runs))
        torch.set_num_threads(1 if self.beside == 1 else 2)
        summaries = {run: json.loads((self.folder(run) / "summary.json").read_text(encoding="utf-8")) for run in runs}
        return {run: {"seconds": round(told["seconds_since_resume"], 1)} for run, told in summaries.items()}

    def _train(self, run: Run) -> None:
        folder = self.folder(run)
        if (folder / "summary.json").exists():
            return
        data = ["--data.root", str(self.root / run.world)] if run.world else []
        words = [*data, "--train.seed", str(run.seed), "--out", str(folder), *run.words, *self.changes]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "avseg", "train", run.recipe, *words], check=True, env=environment)

    def folder(self, run: Run) -> Path:
        return self.root / "runs" / run.name

    def model(self, run: Run) -> Path:
        """The model at the end of a run."""
        return self.folder(run) / "last.safetensors"

    def tell(self, figures: Mapping[str, Any]) -> None:
        """Print figures, and how long worlds and all took; keep them in the folder."""
        seconds = {"making_seconds": round(self.made, 1), "seconds": round(time.perf_counter() - self._began, 1)}
        tell({**figures, **seconds}, self.root / "figures.json")


def parser(text: str | None, seeds: Sequence[int] = ()) -> argparse.ArgumentParser:
    """The options that experiments have in common.

    Args:
        text: What the script does, its docstring.
        seeds: Those of the runs by default; none: the script has no such option.
    """
    shared = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared.add_argument("--root", type=Path, help="folder to keep, whose finished runs count; else a temporary one")
    shared.add_argument("--beside", type=int, default=2, help="models trained at a time, a thread each")
    if seeds:
        shared.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    shared.epilog = "Everything else goes to avseg train, as --train.steps 2000 or --optim.lr 1e-3."
    return shared


@contextmanager
def opened(shared: argparse.ArgumentParser) -> Iterator[tuple[Experiment, argparse.Namespace]]:
    """The experiment that the words of the command line ask for, and the options."""
    options, changes = shared.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        root: Path = options.root or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        yield Experiment(root, options.beside, changes), options


def rounded(figures: Mapping[str, float], names: Sequence[str] = (), digits: int = 4) -> dict[str, float]:
    """Those of `names`, all where there are none; a figure that is missing is no number."""
    return {name: round(figures.get(name, float("nan")), digits) for name in names or figures}


def average(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every figure."""
    return {name: round(mean(one[name] for one in figures), 4) for name in figures[0]}


def lead(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """How far a model is ahead of its twin."""
    return {name: round(one[name] - other[name], 4) for name in one}


def over_seeds(values: Sequence[Any]) -> Any:
    """Mean and deviation of every number in nested figures of several runs; of one run the deviation is 0.

    A figure that is missing in one of them (no number) has neither.
    """
    if isinstance(values[0], dict):
        return {name: over_seeds([value[name] for value in values]) for name in values[0]}
    if any(map(math.isnan, values)):
        return {"mean": math.nan, "deviation": math.nan}
    spread = stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(mean(values), 4), "deviation": round(spread, 4)}


def spread(values: Sequence[float], digits: int) -> str:
    """`mean ± deviation` for a table; the mean alone of one value."""
    after = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{after}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; empty without rows."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
