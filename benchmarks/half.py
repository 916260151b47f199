"""What half precision changes of what users see: masks and J of small trained models on synthetic clips.

Every model predicts every clip in PyTorch and fp32, and with each engine and precision that is asked for. Told are the
mean IoU of their masks with those of fp32 (a frame where neither marks anything counts 1) and J of all. Wanted: IoU of
at least 0.99, J within 0.002; of int8, which is measured on 100 clips of the training split, a J that falls by less
than 0.01.

    python benchmarks/half.py --models demo best.safetensors --with torch:bf16 openvino:bf16 openvino:int8 --clips 200
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from harness import parser

from avseg.data.base import ClipDataset
from avseg.data.loader import make_loader
from avseg.data.transforms import eval_transforms
from avseg.datasets import build_dataset
from avseg.datasets.world.config import WorldConfig
from avseg.engines import with_engine
from avseg.export import export_model
from avseg.export.calibrate import recorded
from avseg.metrics import metrics_of
from avseg.metrics.base import Metric
from avseg.models import load_model
from avseg.models.base import Model
from avseg.types import Batch, DensePrediction

IOU, J, J_INT8 = 0.99, 0.002, 0.01
SEEN = 100
"""Clips that int8 is measured on."""


def overlaps(one: DensePrediction, other: DensePrediction) -> list[float]:
    """IoU of the foreground of each frame; labels that differ count as apart."""
    found = []
    for frame in range(len(one.logits)):
        a, b = one.labels(frame), other.labels(frame)
        union = ((a > 0) | (b > 0)).sum()
        found.append(float(((a == b) & (a > 0)).sum() / union) if union else 1.0)
    return found


def batches(model: Model[Any], data: ClipDataset, workers: int = 0) -> Iterable[Batch]:
    """One clip each, as the model wants them."""
    transforms = eval_transforms(data.config, model.config.input, protocol="published")
    return make_loader(data, transforms, batch_size=1, seed=0, shuffle=False, workers=workers)


def quantised(model: Model[Any], data: ClipDataset, folder: str) -> Model[Any]:
    """The model in int8, opened from the file that is made of it."""
    twin, seen = recorded(model, SEEN)
    for batch in islice(batches(model, data), SEEN):
        twin.predict(batch)
    return load_model(export_model(model, Path(folder) / "int8.xml", precision="int8", clips=seen).path)


def judged(model: Model[Any], sides: dict[str, Model[Any]], data: ClipDataset, workers: int) -> dict[str, Any]:
    """Scores and overlaps of every side."""
    metrics: dict[str, list[Metric]] = {name: metrics_of(data.task, [data.suite], ["published"]) for name in sides}
    shares: dict[str, list[float]] = {name: [] for name in sides}
    for batch in batches(model, data, workers):
        told = {name: side.predict(batch)[0] for name, side in sides.items()}
        assert batch.targets is not None
        for name, prediction in told.items():
            metrics[name][0].update(prediction, batch.targets[0], batch.index[0])
            shares[name] += overlaps(told["fp32"], prediction)
    scores = {name: next(iter(metrics[name][0].compute().values())) for name in sides}
    return {name: told_of(name, shares[name], scores[name] - scores["fp32"], scores[name]) for name in sides}


def told_of(name: str, shares: list[float], apart: float, score: float) -> dict[str, Any]:
    """Figures of a side, and whether they are good enough."""
    iou = sum(shares) / len(shares)
    fine = apart > -J_INT8 if name.endswith("int8") else iou >= IOU and abs(apart) <= J
    return {"iou": round(iou, 5), "score": round(score, 5), "apart": round(apart, 5), "fine": fine}


def sides_of(model: Model[Any], choices: list[str], data: ClipDataset, folder: str) -> dict[str, Model[Any]]:
    """By what computes them."""
    made: dict[str, Model[Any]] = {"fp32": model}
    for choice in choices:
        engine, precision = choice.split(":")
        made[choice] = quantised(model, data, folder) if precision == "int8" else with_engine(model, engine, precision)
    return made


def main() -> None:
    options = parser(__doc__, threads=1)
    options.add_argument("--models", nargs="+", default=["demo"])
    options.add_argument("--with", nargs="+", default=["torch:bf16"], dest="choices", metavar="ENGINE:PRECISION")
    options.add_argument("--clips", type=int, default=200)
    options.add_argument("--workers", type=int, default=0)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    for path in given.models:
        model = load_model(path)
        world = WorldConfig(name="synth", kind=model.task.kind, clips=SEEN, held_out_clips=given.clips)
        with TemporaryDirectory() as folder:
            sides = sides_of(model, given.choices, build_dataset(world, "train"), folder)
            figures = judged(model, sides, build_dataset(world, "test"), given.workers)
        print(json.dumps({"model": path, "clips": given.clips, **figures}, indent=1), flush=True)


if __name__ == "__main__":
    main()
