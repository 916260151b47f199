"""Does AVISM listen? A small recipe and its twin that is trained and judged without sound. Prints JSON.

Both learn from nothing on the same videos of the synthetic world, for the twin with every sound file silent; all else
is the same, the seed of weights and order included. Both are judged on long videos of other seeds, protocol `aviseg`.
`heard_judged_in_silence` is the model that has learnt with sound, judged without.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from avseg.data.config import DataConfig
from avseg.engine import evaluate_file
from avseg.io.audio import read_wav, write_wav
from avseg.synth.aviseg import write_aviseg

RECIPES = ("avism_small", "avism_small_deaf_masks")
LEARNT, HELD_OUT = 0, (1, 2)
"""Seeds of the worlds."""
FIGURES = ("FSLA", "FSLAn", "FSLAs", "FSLAm", "HOTA", "DetA", "AssA", "mAP")


def make_worlds(root: Path, options: argparse.Namespace) -> None:
    """The world to learn from, and those to be judged on; beside each the same with silence."""
    same: dict[str, Any] = {"difficulty": "easy", "size": 64, "stretch": tuple(options.stretch)}
    learnt = write_aviseg(
        root / "heard" / str(LEARNT), options.videos, LEARNT, held_out=20, seconds=tuple(options.seconds), **same
    )
    print(learnt)
    for seed in HELD_OUT:
        # Of these only the split `test` is read.
        place, count = root / "heard" / str(seed), 2 * options.tests + 1
        print(write_aviseg(place, count, seed, held_out=options.tests, seconds=tuple(options.test_seconds), **same))
    for seed in (LEARNT, *HELD_OUT):
        silence(root / "heard" / str(seed), root / "muted" / str(seed))


def silence(source: Path, target: Path) -> None:
    """The same data set with every sound file silent; all other files are links."""
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.suffix == ".wav":
            sound, rate = read_wav(path)
            write_wav(copy, torch.zeros_like(sound), rate)
        elif not copy.exists():
            os.link(path, copy)


def train(root: Path, recipe: str, twin: str, changes: list[str]) -> dict[str, Any]:
    """Train by the command line, on one thread, unless that has been done; the seconds it took."""
    run = root / "runs" / recipe / twin
    if not (run / "summary.json").exists():
        words = ["--data.root", str(root / twin / str(LEARNT)), "--out", str(run), *changes]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "avseg", "train", recipe, *words], check=True, env=environment)
    return {"seconds": json.loads((run / "summary.json").read_text(encoding="utf-8"))["seconds_since_resume"]}


def judge(model: Path, root: Path, heard: str) -> dict[str, dict[str, float]]:
    """Figures of a model on each held-out world, with its sound or without."""
    figures = {}
    for seed in HELD_OUT:
        data = DataConfig(name="aviseg", root=root / heard / str(seed))
        scores = evaluate_file(model, data, protocol="aviseg", device="cpu", workers=0).scores
        figures[f"seed {seed}"] = {name: round(scores.get(name, float("nan")), 4) for name in FIGURES}
    return {**figures, "mean": {n: round(sum(f[n] for f in figures.values()) / len(figures), 4) for n in FIGURES}}


def compare(root: Path, recipe: str, changes: list[str], beside: int) -> dict[str, Any]:
    """Both twins of a recipe, trained and judged."""
    with ThreadPoolExecutor(beside) as pool:
        heard, muted = pool.map(lambda twin: train(root, recipe, twin, changes), ("heard", "muted"))
    torch.set_num_threads(2)
    model, deaf = (root / "runs" / recipe / twin / "last.safetensors" for twin in ("heard", "muted"))
    models = {
        "heard": {**heard, **judge(model, root, "heard")},
        "muted": {**muted, **judge(deaf, root, "muted")},
        "heard_judged_in_silence": judge(model, root, "muted"),
    }
    lead = {name: round(models["heard"]["mean"][name] - models["muted"]["mean"][name], 4) for name in FIGURES}
    return {**models, "heard over muted": lead}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder to keep; finished runs in it count")
    parser.add_argument("--recipes", nargs="+", default=[RECIPES[0]], choices=RECIPES)
    parser.add_argument("--videos", type=int, default=1640, help="of the world to learn from; 20 each are val and test")
    parser.add_argument("--seconds", type=int, nargs=2, default=[8, 12], help="shortest and longest video of it")
    parser.add_argument("--tests", type=int, default=40, help="videos of each held-out world")
    parser.add_argument("--test-seconds", type=int, nargs=2, default=[30, 60], help="shortest and longest of them")
    parser.add_argument("--stretch", type=int, nargs=2, default=[2, 10], help="seconds without a change of who sounds")
    parser.add_argument("--beside", type=int, default=2, help="models trained at a time, a thread each")
    parser.epilog = "Everything else goes to avseg train, as --train.steps 2000 or --optim.lr 1e-3."
    options, changes = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, started = options.root or Path(temporary), time.perf_counter()
        if not (root / "muted" / str(HELD_OUT[-1]) / "truth.json").exists():
            make_worlds(root, options)
        made = time.perf_counter() - started
        figures = {recipe: compare(root, recipe, changes, options.beside) for recipe in options.recipes}
        total = time.perf_counter() - started
    print(json.dumps({"recipes": figures, "making_seconds": round(made, 1), "seconds": round(total, 1)}, indent=1))


if __name__ == "__main__":
    main()
