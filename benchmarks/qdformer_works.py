"""Is QDFormer as its paper says? Trains what is missing, measures, prints JSON and draws J against noise.

    python benchmarks/qdformer_works.py --root runs/qdformer [--beside 2] [--plot docs/images/qdformer_noise.svg]

The recipe `qdformer_small` on the synthetic world, three seeds each of: the whole method, without quantisation, and
without local calibration. Runs are kept in ROOT/runs and go on where they were stopped; those that are finished are not
begun again. All are judged on clips of another world. `--only codes mixtures purity noise local` asks for some of the
figures; everything else on the command line goes to `avseg train`. ROOT/tables.md has them as tables.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from experiment import Run, opened, over_seeds, parser, rounded
from qdformer_figures import (
    HeldOut,
    Mixtures,
    activity,
    codebook_use,
    mixture_clips,
    mixtures_match,
    off_screen,
    scores,
    slot_purity,
    sources_change,
    white_noise,
)
from qdformer_tables import tables

from avseg.models import load_model
from avseg.models.base import Model
from avseg.recipes.qdformer_small import SIZE
from avseg.render.plot import Curve, line_plot

RECIPE = "qdformer_small"
VARIANTS: dict[str, list[str]] = {
    "full": [],
    "no quantisation": ["--model.no-quantise"],
    "no local calibration": ["--model.no-local-calibration"],
}
FIGURES = ("codes", "mixtures", "purity", "noise", "local")
HELD_OUT = 4242
"""Seed of the world that all are judged on."""
LEVELS = {"clean": None, "20 dB": 20.0, "10 dB": 10.0, "0 dB": 0.0}


def run_of(variant: str, seed: int) -> Run:
    """The training of a variant; its clips are made while it runs."""
    return Run(RECIPE, f"{variant.replace(' ', '_')}-{seed}", seed, tuple(VARIANTS[variant]), world="")


def judge(
    model: Model[Any], held_out: HeldOut, mixtures: Mixtures, variant: str, only: Sequence[str]
) -> dict[str, Any]:
    """All figures of one model that were asked for and that it has."""
    figures: dict[str, Any] = {"clean": rounded(scores(model, held_out))}
    coded = VARIANTS[variant] != VARIANTS["no quantisation"]
    if "codes" in only and coded:
        figures["codes"] = codebook_use(model, held_out)
    if "mixtures" in only and coded:
        figures["mixtures"] = mixtures_match(model, mixtures)
    if "purity" in only and coded:
        figures["purity"] = slot_purity(model, held_out)
    if "noise" in only and variant != "no local calibration":
        figures["noise"] = noise(model, held_out, figures["clean"])
    if "local" in only and variant != "no quantisation":
        figures["local"] = local(model, held_out)
    return figures


def noise(model: Model[Any], held_out: HeldOut, clean: dict[str, float]) -> dict[str, dict[str, float]]:
    """Scores with white noise at each level, with a sound from off-screen, and with no sound at all."""
    changes = {name: white_noise(level) for name, level in LEVELS.items() if level is not None}
    changes |= {f"off-screen class at {level:g} dB": off_screen(held_out, level) for level in (10.0, 0.0)}
    changes["no sound"] = lambda _, audio: torch.zeros_like(audio)
    found = {name: rounded(scores(model, held_out.changed(change))) for name, change in changes.items()}
    return {"clean": clean, **found}


def local(model: Model[Any], held_out: HeldOut) -> dict[str, Any]:
    """Scores of clips whose sources change and of those whose do not, and whether class scores follow the change."""
    changing = [place for place, clip in enumerate(held_out.clips) if sources_change(clip)]
    steady = sorted(set(range(len(held_out))) - set(changing))
    figures: dict[str, Any] = {
        name: {"clips": len(places), **rounded(scores(model, held_out.of(places)))}
        for name, places in (("sources_change", changing), ("sources_stay", steady))
    }
    return {**figures, "class_scores_follow": activity(model, held_out)}


def summary(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over seeds of every number that all runs of a variant have."""
    return {variant: over_seeds(list(seeds.values())) for variant, seeds in runs.items()}


def plot(summed: dict[str, Any], figure: str = "J") -> str:
    """J against the level of white noise, one line a variant."""
    lines = [
        Curve(
            variant,
            [found["noise"][level][figure]["mean"] for level in LEVELS],
            [found["noise"][level][figure]["deviation"] for level in LEVELS],
        )
        for variant, found in summed.items()
        if "noise" in found
    ]
    title = f"{figure} under white noise"
    return line_plot(title, list(LEVELS), lines, "signal-to-noise ratio over the clip", figure)


def main() -> None:
    shared = parser(__doc__, seeds=(0, 1, 2))
    shared.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    shared.add_argument("--only", nargs="+", default=list(FIGURES), choices=FIGURES)
    shared.add_argument("--clips", type=int, default=200, help="of the world that is judged on")
    shared.add_argument("--plot", type=Path, help="by default ROOT/noise.svg")
    with opened(shared) as (it, options):
        wanted = {run_of(variant, seed): variant for seed in options.seeds for variant in options.variants}
        facts = it.train(list(wanted))
        held_out, mixtures = HeldOut(options.clips, HELD_OUT, SIZE), mixture_clips(4, SIZE)
        runs: dict[str, dict[str, Any]] = {variant: {} for variant in options.variants}
        for run, variant in wanted.items():
            judged = judge(load_model(it.model(run)), held_out, mixtures, variant, options.only)
            runs[variant][f"seed {run.seed}"] = {**facts[run], **judged}
            print(f"judged {variant}, seed {run.seed}", file=sys.stderr)
        summed = summary(runs)
        (it.root / "tables.md").write_text(tables(runs), encoding="utf-8")
        it.tell({"runs": runs, "over seeds": summed})
        if any("noise" in found for found in summed.values()):
            place = options.plot or it.root / "noise.svg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(plot(summed), encoding="utf-8")


if __name__ == "__main__":
    main()
