"""Does a small CATR learn, and does it listen? Trains and judges it, and prints JSON.

    python benchmarks/catr_learns.py --root runs/catr [--minutes 8] [--seeds 0 1 2] [--beside 2]

`catr_small` is trained from nothing with each seed for as many steps as `--minutes` of two cores hold; two short runs
tell the time of a step. It is judged on clips of another world: J and F, and J under other sounds (`avseg listen`).
Runs in ROOT go on where they were stopped. Everything else on the command line goes to `avseg train`.
"""

from __future__ import annotations

import json
from typing import Any

from experiment import Experiment, Run, opened, over_seeds, parser, rounded
from harness import in_turn

from avseg.data.heard import Scenarios
from avseg.datasets.world.clips import SynthDataset
from avseg.engine import evaluate
from avseg.engine.evaluation.listen import listen
from avseg.metrics import SUITES
from avseg.models import load_model
from avseg.models.base import Model
from avseg.recipes.catr_small import SIZE
from avseg.types import Batch

RECIPE = "catr_small"
SOUNDS = ("own", "silence", "swapped", "offscreen")
HELD_OUT = 4242
"""Seed of the world that is judged on."""
AT_ONCE = 8


def steps_in(it: Experiment, minutes: float, tried: tuple[int, int]) -> int:
    """How many steps that time holds with a core for each run; asked once for a folder of runs."""
    kept = it.root / f"{RECIPE}-pace.json"
    if not kept.exists():
        runs = [Run(RECIPE, f"pace/{RECIPE}-{n}", 0, ("--train.steps", str(n)), world="") for n in tried]
        short, long = (it.train([run])[run]["seconds"] for run in runs)
        kept.write_text(json.dumps({"seconds_a_step": (long - short) / (tried[1] - tried[0])}), encoding="utf-8")
    pace = json.loads(kept.read_text(encoding="utf-8"))["seconds_a_step"]
    # The budget is of two cores; a run has one thread, so that two go beside each other for twice as long.
    return max(1, round(2 * 60 * minutes / max(pace, 1e-3)))


def judge(model: Model[Any], clips: int) -> dict[str, Any]:
    """Figures of one model on the world that no training saw."""
    held_out = SynthDataset(clips, HELD_OUT, split="test", task="binary", size=SIZE)
    metrics = SUITES["avsbench_object"](held_out.task, "repaired")
    scores = evaluate(model, held_out, metrics, batch_size=AT_ONCE, device="cpu")
    (by_sound,) = listen(model, Scenarios(held_out, SOUNDS), batch_size=AT_ONCE, device="cpu").scenarios.values()
    batch = Batch.collate([held_out[index] for index in range(min(AT_ONCE, clips))])
    spent = in_turn({"": lambda: model.predict(batch)}, 3)[""]
    return {
        "clean": rounded({name.split("/")[-1]: value for name, value in scores.items()}, ("J", "J_sounding", "F")),
        "listen": {sound: rounded(figures) for sound, figures in by_sound.items()},
        "parameters": sum(p.numel() for p in model.parameters()),
        "milliseconds_a_frame": round(1000 * spent.wall / int(batch.valid.sum()), 2),
    }


def main() -> None:
    shared = parser(__doc__, seeds=(0, 1, 2))
    shared.add_argument("--minutes", type=float, default=8.0, help="of two cores, for each model")
    shared.add_argument("--tried", type=int, nargs=2, default=[20, 60], help="steps of the runs that tell the pace")
    shared.add_argument("--clips", type=int, default=200, help="of the world that is judged on")
    with opened(shared) as (it, options):
        steps = steps_in(it, options.minutes, tuple(options.tried))
        words = ("--train.steps", str(steps))
        runs = [Run(RECIPE, f"{RECIPE}-{seed}", seed, words, world="") for seed in options.seeds]
        facts = it.train(runs)
        found = {f"seed {run.seed}": {**facts[run], **judge(load_model(it.model(run)), options.clips)} for run in runs}
        it.tell({"steps": steps, "runs": found, "over seeds": over_seeds(list(found.values()))})


if __name__ == "__main__":
    main()
