"""Does the contrastive term matter? Small CAVP models with and without it on synthetic VPO-MS. Prints JSON.

Models are trained on the world of one seed and judged on the test split of another, by suite `vpo`, protocol
`repaired`. The seed of a pair of runs sets first weights, order and augmentation; with and without the term it is the
same.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from stereo import HELD_OUT, TRAINED, train

from avseg.data.config import DataConfig
from avseg.engine import evaluate_file
from avseg.synth.writers import write

RECIPES = ("cavp_contrast_small", "cavp_no_contrast_small")


def judge(model_file: Path, root: Path) -> dict[str, float]:
    """Scores on the world that was held out."""
    data = DataConfig(name="vpo_ms", root=root / str(HELD_OUT), labels_at="input")
    scores = evaluate_file(model_file, data, protocol="repaired", batch_size=16, device="cpu").scores
    return {name: round(scores[name], 4) for name in ("mIoU", "F", "FDR")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder to keep; by default a temporary one")
    parser.add_argument("--clips", type=int, default=3000, help="samples of the world to learn from, all splits")
    parser.add_argument("--tests", type=int, default=2000, help="samples of the other world; 15 %% are its test split")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--beside", type=int, default=2, help="models trained at a time, a thread each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, started = options.root or Path(temporary), time.perf_counter()
        for world, count in ((TRAINED, options.clips), (HELD_OUT, options.tests)):
            print(write("vpo_ms", root / str(world), count, world, difficulty="easy", size=96))
        runs = [(recipe, seed) for seed in options.seeds for recipe in RECIPES]
        with ThreadPoolExecutor(options.beside) as pool:
            trained = list(pool.map(lambda r: train(r[0], root, options.epochs, r[1]), runs))
        figures: dict[str, Any] = {recipe: {} for recipe in RECIPES}
        for (recipe, seed), facts in zip(runs, trained, strict=True):
            model_file = root / "runs" / f"{recipe}-{seed}" / "last.safetensors"
            figures[recipe][f"seed {seed}"] = {**facts, **judge(model_file, root)}
        for runs_of_one in figures.values():
            scores = [run["mIoU"] for run in runs_of_one.values()]
            runs_of_one["mIoU mean"] = round(mean(scores), 4)
            runs_of_one["mIoU deviation"] = round(stdev(scores), 4) if len(scores) > 1 else None
        total = time.perf_counter() - started
    print(json.dumps({"models": figures, "seconds": round(total, 1)}, indent=1))


if __name__ == "__main__":
    main()
