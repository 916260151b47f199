"""Does AVISM listen? The small recipe and its twin that is trained and judged without sound. Prints JSON.

Both learn from nothing on the same long videos of the synthetic world, for the twin with every sound file silent; all
else is the same, the seed of weights and order included. Both are judged on videos of other seeds, protocol `aviseg`.
`sound_at_test_alone_missing` is the model that has learnt with sound, judged without.
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
from avseg.engine.evaluate import evaluate_file
from avseg.io.audio import read_wav, write_wav
from avseg.synth.aviseg import write_aviseg

RECIPE = "avism_small"
LEARNT, HELD_OUT = 0, (1, 2)
"""Seeds of the worlds."""
FIGURES = ("FSLA", "FSLAn", "FSLAs", "FSLAm", "HOTA", "DetA", "AssA", "mAP")


def make_worlds(root: Path, videos: int, tests: int, seconds: tuple[int, int]) -> None:
    """The world to learn from, and those to be judged on; beside each the same with silence."""
    options: dict[str, Any] = {"difficulty": "easy", "size": 64, "seconds": seconds}
    print(write_aviseg(root / "heard" / str(LEARNT), videos, LEARNT, held_out=20, **options))
    for seed in HELD_OUT:
        # Of these only the split `test` is read.
        print(write_aviseg(root / "heard" / str(seed), 2 * tests + 1, seed, held_out=tests, **options))
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


def train(root: Path, twin: str, changes: list[str]) -> dict[str, Any]:
    """Train by the command line, on one thread; the seconds it took."""
    started = time.perf_counter()
    words = ["--data.root", str(root / twin / str(LEARNT)), "--out", str(root / "runs" / twin), *changes]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "avseg", "train", RECIPE, *words], check=True, env=environment)
    return {"seconds": round(time.perf_counter() - started, 1)}


def judge(root: Path, trained: str, heard: str) -> dict[str, dict[str, float]]:
    """Figures of a model on each held-out world, with its sound or without."""
    model = root / "runs" / trained / "last.safetensors"
    figures = {}
    for seed in HELD_OUT:
        data = DataConfig(name="aviseg", root=root / heard / str(seed))
        scores = evaluate_file(model, data, protocol="aviseg", device="cpu", workers=0).scores
        figures[f"seed {seed}"] = {name: round(scores.get(name, float("nan")), 4) for name in FIGURES}
    return {**figures, "mean": {n: round(sum(f[n] for f in figures.values()) / len(figures), 4) for n in FIGURES}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder to keep; by default a temporary one")
    parser.add_argument("--videos", type=int, default=640, help="of the world to learn from; 20 each are val and test")
    parser.add_argument("--tests", type=int, default=40, help="videos of each held-out world")
    parser.add_argument("--seconds", type=int, nargs=2, default=[30, 60], help="shortest and longest video")
    parser.add_argument("--steps", type=int, help="of training; by default the recipe's own")
    parser.add_argument("--beside", type=int, default=2, help="models trained at a time, a thread each")
    options = parser.parse_args()
    changes = ["--train.steps", str(options.steps)] if options.steps else []
    with tempfile.TemporaryDirectory() as temporary:
        root, started = options.root or Path(temporary), time.perf_counter()
        if not (root / "muted" / str(HELD_OUT[-1]) / "test.json").exists():
            make_worlds(root, options.videos, options.tests, (options.seconds[0], options.seconds[1]))
        made = time.perf_counter() - started
        with ThreadPoolExecutor(options.beside) as pool:
            heard, muted = pool.map(lambda twin: train(root, twin, changes), ("heard", "muted"))
        torch.set_num_threads(2)
        models = {
            "heard": {**heard, **judge(root, "heard", "heard")},
            "muted": {**muted, **judge(root, "muted", "muted")},
            "sound_at_test_alone_missing": judge(root, "heard", "muted"),
        }
        total = time.perf_counter() - started
    lead = {n: round(models["heard"]["mean"][n] - models["muted"]["mean"][n], 4) for n in FIGURES}
    facts = {"making_seconds": round(made, 1), "seconds": round(total, 1)}
    print(json.dumps({"models": models, "heard over muted": lead, **facts}, indent=1))


if __name__ == "__main__":
    main()
