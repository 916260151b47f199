"""Do small dense models learn and listen, at one budget of time? Trains what is missing, judges, prints JSON.

    python benchmarks/dense_families.py --root runs/dense [--minutes 8] [--beside 2] [--recipes tpavi_small ...]

Each recipe of `avseg.recipes.dense_small` is trained from nothing with each seed, for as many steps as `--minutes`
hold on two threads: a short run of each recipe, thrown away, tells the time of a step. Runs are kept in ROOT/runs and
go on where they were stopped. All are judged on clips of another world: J, F and mIoU, and J under other sounds
(`avseg listen`); own, silence, swapped and offscreen. ROOT/table.md has the means over seeds as a table. Everything
else on the command line goes to `avseg train`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from experiment import Experiment, Run, opened, over_seeds, parser, rounded, table
from harness import in_turn

from avseg.data.heard import Scenarios
from avseg.datasets.world.clips import SynthDataset
from avseg.engine import evaluate
from avseg.engine.evaluation.listen import listen
from avseg.metrics import SUITES
from avseg.models import load_model
from avseg.models.base import Model
from avseg.recipes.dense_small import SIZE
from avseg.types import Batch

RECIPES = ("tpavi_small", "avsegformer_small", "catr_small")
SOUNDS = ("own", "silence", "swapped", "offscreen")
HELD_OUT = 4242
"""Seed of the world that all are judged on."""
TRIED = (20, 60)
"""Steps of the two short runs whose difference is the time of a step."""
AT_ONCE = 8


def steps_in(it: Experiment, recipe: str, minutes: float) -> int:
    """How many steps a recipe takes in that time with a core for itself; asked once for a folder of runs."""
    kept = it.root / f"{recipe}-pace.json"
    if not kept.exists():
        runs = [Run(recipe, f"pace/{recipe}-{n}", 0, ("--train.steps", str(n)), world="") for n in TRIED]
        short, long = (it.train([run])[run]["seconds"] for run in runs)
        kept.write_text(json.dumps({"seconds_a_step": (long - short) / (TRIED[1] - TRIED[0])}), encoding="utf-8")
    pace = json.loads(kept.read_text(encoding="utf-8"))["seconds_a_step"]
    # The budget is of two cores; a run has one thread, so that two go beside each other for twice as long.
    return max(1, round(2 * 60 * minutes / max(pace, 1e-3)))


def judge(model: Model[Any], clips: int) -> dict[str, Any]:
    """Figures of one model on the world that no training saw."""
    held_out = SynthDataset(clips, HELD_OUT, split="test", task=model.task.kind, size=SIZE)
    held_out.keep = True
    metrics = [
        metric
        for suite in (SUITES["avsbench_object"], SUITES["avsbench_semantic"])
        if held_out.task.kind in suite.kinds
        for metric in suite(held_out.task, "repaired")
    ]
    found = {name.split("/")[-1]: value for name, value in
             evaluate(model, held_out, metrics, batch_size=AT_ONCE, device="cpu").items()}  # fmt: skip
    heard = listen(model, Scenarios(held_out, SOUNDS), batch_size=AT_ONCE, device="cpu")
    (by_sound,) = heard.scenarios.values()
    batch = Batch.collate([held_out[index] for index in range(AT_ONCE)])
    spent = in_turn({"": lambda: model.predict(batch)}, 3)[""]
    return {
        "clean": rounded(found, [name for name in ("J", "J_sounding", "F", "mIoU") if name in found]),
        "listen": {sound: rounded(scores) for sound, scores in by_sound.items()},
        "parameters": sum(p.numel() for p in model.parameters()),
        "milliseconds_a_frame": round(1000 * spent.wall / int(batch.valid.sum()), 2),
    }


def shown(summed: dict[str, Any]) -> str:
    """Means and deviations over seeds, a row a recipe."""

    def said(figures: dict[str, float] | None, digits: int = 3) -> str:
        return "none" if figures is None else f"{figures['mean']:.{digits}f} ± {figures['deviation']:.{digits}f}"

    rows = [
        [
            f"`{recipe}`",
            *(said(found["clean"].get(name)) for name in ("J", "F", "mIoU")),
            *(said(found["listen"][sound]["J"]) for sound in SOUNDS),
            f"{found['parameters']['mean'] / 1e6:.2f} M",
            f"{found['milliseconds_a_frame']['mean']:.1f} ms",
            f"{found['steps']['mean']:.0f}",
        ]
        for recipe, found in summed.items()
    ]
    heads = ["recipe", "J", "F", "mIoU", *(f"J, {sound}" for sound in SOUNDS), "parameters", "a frame", "steps"]
    return table(heads, rows)


def main() -> None:
    shared = parser(__doc__, seeds=(0, 1, 2))
    shared.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    shared.add_argument("--minutes", type=float, default=8.0, help="of two cores, for each model")
    shared.add_argument("--clips", type=int, default=200, help="of the world that is judged on")
    with opened(shared) as (it, options):
        steps = {recipe: steps_in(it, recipe, options.minutes) for recipe in options.recipes}
        runs = [
            Run(recipe, f"{recipe}-{seed}", seed, ("--train.steps", str(steps[recipe])), world="")
            for seed in options.seeds
            for recipe in options.recipes
        ]
        facts, found = it.train(runs), {recipe: {} for recipe in options.recipes}
        torch.set_num_threads(1)
        for run in runs:
            judged = judge(load_model(it.model(run)), options.clips)
            found[run.recipe][f"seed {run.seed}"] = {**facts[run], **judged, "steps": steps[run.recipe]}
            print(f"judged {run.name}", file=sys.stderr)
        summed = {recipe: over_seeds(list(seeds.values())) for recipe, seeds in found.items()}
        Path(it.root / "table.md").write_text(shown(summed) + "\n", encoding="utf-8")
        it.tell({"runs": found, "over seeds": summed})


if __name__ == "__main__":
    main()
