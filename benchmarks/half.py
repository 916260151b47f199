"""What half precision changes of what users see: masks and J of small trained models on synthetic clips.

Every model predicts every clip in PyTorch and fp32, and with each engine and precision that is asked for. Told are the
mean IoU of their masks with those of fp32 (a frame where neither marks anything counts 1) and J of all. Wanted: IoU of
at least 0.99, J within 0.002.

    python benchmarks/half.py --models demo best.safetensors --with torch:bf16 openvino:bf16 --clips 200
"""

from __future__ import annotations

import json
from typing import Any

import torch
from harness import parser

from avseg.data.base import ClipDataset
from avseg.data.loader import make_loader
from avseg.data.transforms import eval_transforms
from avseg.datasets import build_dataset
from avseg.datasets.world.config import WorldConfig
from avseg.engines import with_engine
from avseg.metrics import metrics_of
from avseg.metrics.base import Metric
from avseg.models import load_model
from avseg.models.base import Model
from avseg.types import DensePrediction

IOU, J = 0.99, 0.002


def overlaps(one: DensePrediction, other: DensePrediction) -> list[float]:
    """IoU of the foreground of each frame; labels that differ count as apart."""
    found = []
    for frame in range(len(one.logits)):
        a, b = one.labels(frame), other.labels(frame)
        union = ((a > 0) | (b > 0)).sum()
        found.append(float(((a == b) & (a > 0)).sum() / union) if union else 1.0)
    return found


def judged(model: Model[Any], sides: dict[str, Model[Any]], data: ClipDataset, workers: int) -> dict[str, Any]:
    """Scores and overlaps of every side."""
    metrics: dict[str, list[Metric]] = {name: metrics_of(data.task, [data.suite], ["published"]) for name in sides}
    shares: dict[str, list[float]] = {name: [] for name in sides}
    transforms = eval_transforms(data.config, model.config.input, protocol="published")
    for batch in make_loader(data, transforms, batch_size=1, seed=0, shuffle=False, workers=workers):
        told = {name: side.predict(batch)[0] for name, side in sides.items()}
        assert batch.targets is not None
        for name, prediction in told.items():
            metrics[name][0].update(prediction, batch.targets[0], batch.index[0])
            shares[name] += overlaps(told["fp32"], prediction)
    scores = {name: next(iter(metrics[name][0].compute().values())) for name in sides}
    return {
        name: {
            "iou": round(sum(shares[name]) / len(shares[name]), 5),
            "score": round(scores[name], 5),
            "apart": round(scores[name] - scores["fp32"], 5),
            "fine": sum(shares[name]) / len(shares[name]) >= IOU and abs(scores[name] - scores["fp32"]) <= J,
        }
        for name in sides
    }


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
        data = build_dataset(WorldConfig(name="synth", kind=model.task.kind, held_out_clips=given.clips), "test")
        sides = {"fp32": model, **{name: with_engine(model, *name.split(":")) for name in given.choices}}
        print(json.dumps({"model": path, "clips": given.clips, **judged(model, sides, data, given.workers)}, indent=1))


if __name__ == "__main__":
    main()
