"""Training in bf16 beside fp32: how long a step takes, and whether the loss goes the same way.

    python benchmarks/half_training.py --recipe small                    a minute or two
    python benchmarks/half_training.py --recipe tpavi_r50 --threads 2    an hour

A step is timed on both sides in turn. Then `avseg train` itself runs: in fp32 from three seeds, and in bf16 from the
first of them. Curves are means over twentieths of the steps. Told are the mean distance of the curve of bf16 to that of
fp32 from the same seed, and the mean distance of the highest to the lowest seed. Wanted is a distance that is no larger
than that of seeds, and a step of at most 0.55 where the CPU has units for bf16.
"""

from __future__ import annotations

import copy
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from gpu_subjects import Trainer
from harness import bf16_units, conditions, in_turn, options_of, parser, tell

from avseg.data.loader import make_loader
from avseg.data.transforms import train_transforms
from avseg.datasets import build_dataset, data_config
from avseg.engine.config import InitConfig, Recipe
from avseg.engine.training.run import train_recipe
from avseg.models import build_model
from avseg.recipes import get_recipe

PARTS = 20
"""Of a curve, each of which is averaged."""
STEP = 0.55


def recipe_of(name: str, steps: int, quick: bool) -> Recipe:
    """A recipe on the synthetic world, without validation on the way."""
    if name == "small":
        recipe = get_recipe("tpavi_small")
        data = replace(recipe.data, clips=16 if quick else 160, held_out_clips=1)
        return replace(recipe, data=data, train=_short(recipe, steps, 2 if quick else 16))
    recipe = get_recipe("tpavi_s4_r50")
    data = data_config("synth", kind="binary", clips=8 if quick else 40, held_out_clips=1, frames=5, keep=True)
    if quick:
        size = replace(recipe.model.input, size=(64, 64))
        recipe = replace(recipe, model=replace(recipe.model, input=size, audio_network="small"))  # type: ignore[call-arg]
        data = replace(data, size=64)
    return replace(recipe, data=data, init=InitConfig(), train=_short(recipe, steps, 1))


def _short(recipe: Recipe, steps: int, batch_size: int) -> Any:
    return replace(
        recipe.train,
        steps=steps,
        batch_size=batch_size,
        ema=None,
        workers=0,
        save_every=10**6,
        eval_every=10**6,
        eval_from=10**6,
        protocol="published",
    )


def step_times(recipe: Recipe, repeats: int) -> dict[str, Any]:
    """s of a step in both precisions, in turn."""
    data = build_dataset(recipe.data, "train")
    model = build_model(recipe.model, data.task)
    transforms = train_transforms(data.config, recipe.model.input)
    batch = next(iter(make_loader(data, transforms, batch_size=recipe.train.batch_size)))
    sides = {name: Trainer(copy.deepcopy(model), name, torch.device("cpu")) for name in ("fp32", "bf16")}
    found = in_turn({name: (lambda side=side: side.step(batch)) for name, side in sides.items()}, repeats)
    seconds = {name: round(spent.wall, 4) for name, spent in found.items()}
    ratio = seconds["bf16"] / seconds["fp32"]
    return {"seconds": seconds, "ratio": round(ratio, 3), "wanted": STEP, "fine": ratio <= STEP}


def curve(recipe: Recipe, precision: str, seed: int) -> list[float]:
    """Mean losses of the parts of a run."""
    train = replace(recipe.train, precision=precision, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        train_recipe(replace(recipe, train=train), Path(name) / "run")
        lines = (Path(name) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if row["event"] == "step"]
    size = max(1, len(losses) // PARTS)
    return [round(sum(part) / len(part), 5) for part in (losses[k : k + size] for k in range(0, len(losses), size))]


def curves(recipe: Recipe, seeds: list[int]) -> dict[str, Any]:
    """Three in fp32, and one in bf16."""
    single = {seed: curve(recipe, "fp32", seed) for seed in seeds}
    half = curve(recipe, "bf16", seeds[0])
    spread = [max(values) - min(values) for values in zip(*single.values(), strict=True)]
    apart = [abs(one - other) for one, other in zip(half, single[seeds[0]], strict=True)]
    inside = [min(v) <= h <= max(v) for h, *v in zip(half, *single.values(), strict=True)]
    mean_spread, mean_apart = sum(spread) / len(spread), sum(apart) / len(apart)
    return {
        "fp32": single,
        "bf16": half,
        "spread_of_seeds": round(mean_spread, 5),
        "bf16_from_its_seed": round(mean_apart, 5),
        "share_of_parts_between_seeds": round(sum(inside) / len(inside), 2),
        "fine": mean_apart <= mean_spread,
    }


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--recipe", choices=("small", "tpavi_r50"), default="small")
    shared.add_argument("--steps", type=int, default=200, help="of each run; 0: steps are timed alone")
    shared.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    shared.add_argument("--repeats", type=int, default=5)
    shared.add_argument("--quick", action="store_true", help="few clips, small pictures")
    options = options_of(shared)
    recipe = recipe_of(options.recipe, max(options.steps, 1), options.quick)
    told: dict[str, Any] = {
        "benchmark": "half_training",
        "recipe": options.recipe,
        "bf16_units": bf16_units(),
        **conditions(options),
        "step": step_times(recipe, options.repeats),
    }
    if options.steps:
        told["losses"] = {"steps": options.steps, **curves(recipe, options.seeds)}
    tell(told, options.out)


if __name__ == "__main__":
    main()
