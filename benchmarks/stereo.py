"""Does stereo matter? Small CAVP models, alike but for what they hear, on synthetic VPO-MSMI. Prints JSON.

Every picture shows two objects of one class, left and right, and others; one object sounds. Models are trained on the
world of one seed and judged on the test split of another. `mIoU` is that of the suite `vpo`, protocol `repaired`.
`at_object` is the share of test pictures on which the mask's centre lies within a tenth of the width from that of the
truth, `at_twin` the share on which it lies on the silent twin instead. `_swapped` are the same figures with left and
right of the sound exchanged.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from experiment import Run, opened, parser

from avseg.data import build_dataset, eval_transforms, make_loader
from avseg.datasets import data_config
from avseg.engine.evaluation.report import computed
from avseg.metrics import SUITES
from avseg.models import load_model
from avseg.recipes import get_recipe
from avseg.types import DensePrediction, DenseTarget

RECIPES = ("cavp_mono_small", "cavp_stereo_small", "cavp_mono_small_coordinates", "cavp_stereo_small_coordinates")
TRAINED, HELD_OUT = 0, 1
"""Seeds of the two worlds."""
NEAR = 0.1
"""Share of the width within which two places are one; twins are three tenths apart."""


@torch.inference_mode()
def judge(model_file: Path, root: Path, stereo: bool) -> dict[str, Any]:
    """Scores and places on the world that was held out."""
    model = load_model(model_file)
    config = data_config("vpo_msmi", root=root / str(HELD_OUT), stereo=stereo, labels_at="input")
    dataset = build_dataset(config, "test")
    twins = silent_twins(root / str(HELD_OUT))
    loader = make_loader(dataset, eval_transforms(config, model.config.input, "repaired"), batch_size=16)
    figures: dict[str, Any] = {}
    for ending in ("", "_swapped") if stereo else ("",):
        metrics = SUITES["vpo"](dataset.task, "repaired")
        at_object = at_twin = 0
        for batch in loader:
            heard = replace(batch, audio=batch.audio.flip(1)) if ending else batch
            for prediction, target, index in zip(model.predict(heard), batch.targets or [], batch.index, strict=True):
                metrics[0].update(prediction, target, index)
                assert isinstance(prediction, DensePrediction) and isinstance(target, DenseTarget)
                place = centre(prediction.labels(0) > 0)
                at_object += abs(place - centre(target.labels[0] > 0)) < NEAR
                at_twin += abs(place - twins[dataset.ids[index]]) < NEAR
        figures[f"mIoU{ending}"] = round(computed(metrics)["mIoU"], 4)
        figures[f"at_object{ending}"] = round(at_object / len(dataset), 3)
        figures[f"at_twin{ending}"] = round(at_twin / len(dataset), 3)
    return figures


def centre(mask: torch.Tensor) -> float:
    """Mean place of a mask's pixels as a share of the width; -1 of an empty one."""
    columns = mask.nonzero()[:, 1]
    return float((columns.double().mean() + 0.5) / mask.shape[1]) if len(columns) else -1.0


def silent_twins(root: Path) -> dict[str, float]:
    """By sample, where the silent object of the sounding class is: from the world's own instances and the manifest."""
    world = json.loads((root / "world" / "vpo_msmi" / "instances.json").read_text())
    widths = {image["id"]: image["width"] for image in world["images"]}
    boxes: dict[int, list[dict[str, Any]]] = {}
    for annotation in world["annotations"]:
        boxes.setdefault(annotation["image_id"], []).append(annotation)
    places = {}
    table = (root / "VPO" / "VPO-MSMI" / "vpo_msmi_data_stereo.csv").read_text().splitlines()
    header = table[0].split(",")
    for line in table[1:]:
        row = dict(zip(header, line.split(","), strict=True))
        image = int(row["img_Id"])
        own = next(a for a in boxes[image] if a["id"] == int(row["ann_Ids"]))
        twin = next((a for a in boxes[image] if a["category_id"] == own["category_id"] and a is not own), None)
        if twin is not None:
            places[f"{image:012d}"] = (twin["bbox"][0] + twin["bbox"][2] / 2) / widths[image]
    return {**{f"{image:012d}": 2.0 for image in boxes}, **places}


def main() -> None:
    shared = parser(__doc__)
    shared.add_argument("--clips", type=int, default=4000, help="samples of the world to learn from, all splits")
    shared.add_argument("--tests", type=int, default=2000, help="samples of the other world; 15 %% are its test split")
    shared.add_argument("--epochs", type=int, default=10)
    shared.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    with opened(shared) as (it, options):
        same: dict[str, Any] = {"difficulty": "easy", "size": 96, "singles": 0.0, "sources": (1, 1)}
        for seed, count in ((TRAINED, options.clips), (HELD_OUT, options.tests)):
            it.world("vpo_msmi", seed, count, **same)
        words = ("--train.epochs", str(options.epochs))
        facts = it.train([Run(recipe, f"{recipe}-0", 0, words) for recipe in options.recipes])
        figures = {
            run.recipe: {**told, **judge(it.model(run), it.root, get_recipe(run.recipe).data.stereo)}
            for run, told in facts.items()
        }
        it.tell({"models": figures})


if __name__ == "__main__":
    main()
