"""Does AVISM listen? A small recipe and its twin that is trained and judged without sound. Prints JSON.

Both learn from nothing on the same videos of the synthetic world, for the twin with every sound file silent; all else
is the same, the seed of weights and order included. Both are judged on long videos of other seeds, protocol `aviseg`.
`heard_judged_in_silence` is the model that has learnt with sound, judged without.
"""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from experiment import Experiment, Run, average, lead, opened, parser, rounded

from avseg.datasets import data_config
from avseg.engine import evaluate_file
from avseg.io.audio import read_wav, write_wav

RECIPES = ("avism_small", "avism_small_deaf_masks")
LEARNT, HELD_OUT = 0, (1, 2)
"""Seeds of the worlds."""
FIGURES = ("FSLA", "FSLAn", "FSLAs", "FSLAm", "HOTA", "DetA", "AssA", "mAP")


def make_worlds(it: Experiment, options: Namespace) -> None:
    """The world to learn from, and those to be judged on; beside each the same with silence."""
    same: dict[str, Any] = {"difficulty": "easy", "size": 64, "stretch": tuple(options.stretch)}
    learnt = {"clips": options.videos, "held_out": 20, "seconds": tuple(options.seconds)}
    # Of the others only the split `test` is read.
    judged = {"clips": 2 * options.tests + 1, "held_out": options.tests, "seconds": tuple(options.test_seconds)}
    for seed in (LEARNT, *HELD_OUT):
        heard = it.world("aviseg", seed, folder=f"heard/{seed}", **(learnt if seed == LEARNT else judged), **same)
        if not (it.root / "muted" / str(seed) / "world.json").exists():
            silence(heard, it.root / "muted" / str(seed))


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


def judge(model: Path, root: Path, heard: str) -> dict[str, dict[str, float]]:
    """Figures of a model on each held-out world, with its sound or without."""
    figures = {}
    for seed in HELD_OUT:
        data = data_config("aviseg", root=root / heard / str(seed))
        scores = evaluate_file(model, data, protocol="aviseg", device="cpu", workers=0).scores
        figures[f"seed {seed}"] = rounded(scores, FIGURES)
    return {**figures, "mean": average(list(figures.values()))}


def compare(it: Experiment, recipe: str) -> dict[str, Any]:
    """Both twins of a recipe, trained and judged."""
    heard, muted = runs = [Run(recipe, f"{recipe}/{twin}", world=f"{twin}/{LEARNT}") for twin in ("heard", "muted")]
    facts = it.train(runs)
    models = {
        "heard": {**facts[heard], **judge(it.model(heard), it.root, "heard")},
        "muted": {**facts[muted], **judge(it.model(muted), it.root, "muted")},
        "heard_judged_in_silence": judge(it.model(heard), it.root, "muted"),
    }
    return {**models, "heard over muted": lead(models["heard"]["mean"], models["muted"]["mean"])}


def main() -> None:
    shared = parser(__doc__)
    shared.add_argument("--recipes", nargs="+", default=[RECIPES[0]], choices=RECIPES)
    shared.add_argument("--videos", type=int, default=1640, help="of the world to learn from; 20 each are val and test")
    shared.add_argument("--seconds", type=int, nargs=2, default=[8, 12], help="shortest and longest video of it")
    shared.add_argument("--tests", type=int, default=40, help="videos of each held-out world")
    shared.add_argument("--test-seconds", type=int, nargs=2, default=[30, 60], help="shortest and longest of them")
    shared.add_argument("--stretch", type=int, nargs=2, default=[2, 10], help="seconds without a change of who sounds")
    with opened(shared) as (it, options):
        make_worlds(it, options)
        it.tell({"recipes": {recipe: compare(it, recipe) for recipe in options.recipes}})


if __name__ == "__main__":
    main()
