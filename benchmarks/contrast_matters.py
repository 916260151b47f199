"""Does the contrastive term matter? Small CAVP models with and without it on synthetic VPO-MS. Prints JSON.

Models are trained on the world of one seed and judged on the test split of another, by suite `vpo`, protocol
`repaired`. The seed of a pair of runs sets first weights, order and augmentation; with and without the term it is the
same.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

from experiment import Run, opened, parser, rounded

from avseg.datasets import data_config
from avseg.engine import evaluate_file

TRAINED, HELD_OUT = 0, 1
"""Seeds of the two worlds."""
RECIPES = ("cavp_contrast_small", "cavp_no_contrast_small")


def judge(model_file: Path, root: Path) -> dict[str, float]:
    """Scores on the world that was held out."""
    data = data_config("vpo_ms", root=root / str(HELD_OUT), labels_at="input")
    scores = evaluate_file(model_file, data, protocol="repaired", batch_size=16, device="cpu").scores
    return rounded(scores, ("mIoU", "F", "FDR"))


def main() -> None:
    shared = parser(__doc__, seeds=(0, 1, 2))
    shared.add_argument("--clips", type=int, default=3000, help="samples of the world to learn from, all splits")
    shared.add_argument("--tests", type=int, default=2000, help="samples of the other world; 15 %% are its test split")
    shared.add_argument("--epochs", type=int, default=8)
    with opened(shared) as (it, options):
        for seed, count in ((TRAINED, options.clips), (HELD_OUT, options.tests)):
            it.world("vpo_ms", seed, count, difficulty="easy", size=96)
        words = ("--train.epochs", str(options.epochs))
        facts = it.train([Run(r, f"{r}-{seed}", seed, words) for seed in options.seeds for r in RECIPES])
        figures: dict[str, Any] = {recipe: {} for recipe in RECIPES}
        for run, told in facts.items():
            figures[run.recipe][f"seed {run.seed}"] = {**told, **judge(it.model(run), it.root)}
        for runs_of_one in figures.values():
            scores = [run["mIoU"] for run in runs_of_one.values()]
            runs_of_one["mIoU mean"] = round(mean(scores), 4)
            runs_of_one["mIoU deviation"] = round(stdev(scores), 4) if len(scores) > 1 else None
        it.tell({"models": figures})


if __name__ == "__main__":
    main()
