"""Parameters, forward time and memory of every setting in docs/models.toml; writes docs/models.json for make_tables.py.

    python benchmarks/model_table.py --count                        parameters alone, without weights or computing
    python benchmarks/model_table.py                                time and memory too, each setting in its own process
    python benchmarks/model_table.py --recipes tpavi_s4_r50         of some; what the file holds of others stays

A forward pass without gradients, in float32, with random weights and the published network of sound. The clip has
pictures of 360 x 640, sized as the setting wants them: five frames (a block of the setting where it has more, ten of
AVISM, one of CAVP). Time is the least of three passes, divided by the frames; memory is the most that a pass allocates
beside the weights. Recipes with the same network are measured once. Run it on a machine that does nothing else, all
settings on the same one.
"""

from __future__ import annotations

import json
import platform
import sys
import tomllib
from pathlib import Path
from typing import Any

import torch
from gpu_subjects import batch_of
from harness import conditions, in_own_process, in_turn, options_of, parser, peak_bytes

from avseg.jobs.speeds import machine
from avseg.models import FAMILIES, build_model
from avseg.models.base import Model
from avseg.models.config import ModelConfig
from avseg.nn.empty import WithoutInitialisation
from avseg.recipes import get_recipe
from avseg.types import Task

DOCS = Path(__file__).resolve().parents[1] / "docs"
RECORDS, FOUND = DOCS / "models.toml", DOCS / "models.json"
PICTURE = (360, 640)
FRAMES = {"cavp": 1, "avism": 10}
TASKS = {
    "S4": ("tpavi", "s4"),
    "MS3": ("tpavi", "ms3"),
    "AVSS": ("tpavi", "avss"),
    "AVSBench-Single+": ("cavp", "single"),
    "VPO": ("cavp", "vpo"),
    "AVISeg": ("avism", "r50"),
}
"""By the beginning of a row's setting: the family and the preset that have its task."""


def rows() -> list[dict[str, Any]]:
    """The rows of docs/models.toml."""
    found: list[dict[str, Any]] = tomllib.loads(RECORDS.read_text(encoding="utf-8"))["row"]
    return found


def task_of(setting: str) -> Task:
    """The task of a row."""
    family, name = next(home for start, home in TASKS.items() if setting.startswith(start))
    task: Task = FAMILIES[family].presets[name].task  # type: ignore[attr-defined]
    return task


def same(one: str, other: str) -> bool:
    """Whether two recipes have the same network, which then is measured once."""
    settings = {row["recipe"]: row["setting"] for row in rows()}
    first, second = ((get_recipe(name).model, task_of(settings[name])) for name in (one, other))
    return first == second


def counted(config: ModelConfig, task: Task) -> dict[str, int]:
    """Parameters that learn, and those that do not: mostly the published network of sound."""
    with torch.device("meta"), WithoutInitialisation():
        model = build_model(config, task)
    learn = sum(one.numel() for one in model.parameters() if one.requires_grad)
    return {"learn": learn, "frozen": sum(one.numel() for one in model.parameters()) - learn}


def measured(model: Model[Any]) -> dict[str, float]:
    """ms of a frame and MiB of a pass."""
    temporal = model.config.temporal
    block = temporal.length or 5 if temporal.kind == "block" else 5
    frames = FRAMES.get(model.config.family, max(block, 5))
    batch = batch_of(model, 1, model.config.input.fitted(PICTURE), frames)
    model.eval()
    with torch.inference_mode():
        wall = in_turn({"": lambda: model(batch)}, 3)[""].wall
        peak = peak_bytes(lambda: model(batch))
    return {"frames": frames, "milliseconds": round(1000 * wall / frames, 1), "mib": round(peak / 2**20)}


def main() -> None:
    """Measure, and write what was found beside what the file held of other settings."""
    known = {row["recipe"]: row for row in rows()}
    shared = parser(__doc__, threads=2)
    shared.add_argument("--recipes", nargs="+", choices=sorted(known), metavar="RECIPE")
    shared.add_argument("--count", action="store_true", help="parameters alone")
    shared.add_argument("--alone", action="store_true", help="print one setting's figures as a line of JSON")
    options = options_of(shared)
    chosen = options.recipes or list(known)
    if options.alone:
        config, task = get_recipe(chosen[0]).model, task_of(known[chosen[0]]["setting"])
        torch.manual_seed(0)
        print(json.dumps(measured(build_model(config, task))))
        return
    out = options.out or FOUND
    held = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    found = {recipe: figures for recipe, figures in held.get("rows", {}).items() if recipe in known}
    for recipe in chosen:
        new = counted(get_recipe(recipe).model, task_of(known[recipe]["setting"]))
        if not options.count:
            here = {"machine": f"{machine()}, Python {platform.python_version()}", **conditions(options)}
            if held.get("conditions", here) != here:
                found = {name: {key: row[key] for key in ("learn", "frozen")} for name, row in found.items()}
            held["conditions"] = here
            alike = next((name for name in found if "frames" in found[name] and same(name, recipe)), None)
            if alike in (None, recipe):
                new |= in_own_process(__file__, ["--alone", "--recipes", recipe, "--threads", str(options.threads)])
            else:
                new |= {name: found[alike][name] for name in ("frames", "milliseconds", "mib")}
        found[recipe] = {**found.get(recipe, {}), **new}
        held["rows"] = {name: found[name] for name in known if name in found}
        out.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
        print(recipe, found[recipe], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
