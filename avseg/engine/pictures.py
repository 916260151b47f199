"""Pictures of the best and the worst clips of an evaluation: truth above, prediction below, frame by frame."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from avseg.data.transforms import apply, eval_transforms
from avseg.engine.report import Report
from avseg.io.image import write_png
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.types import Batch, DensePrediction, DenseTarget, Task

if TYPE_CHECKING:
    from avseg.data.base import ClipDataset
    from avseg.models.base import Model

MOST_FRAMES = 10


def write_pictures(model: Model[Any], dataset: ClipDataset, report: Report, folder: Path, count: int) -> list[Path]:
    """Write a PNG for each of the `count` best and `count` worst clips; their names bear rank, score and protocol.

    They are ranked by the first score that clips have as well.
    """
    name = next(score for score in report.scores if score in report.rows[0])
    shown, protocol = name.replace("/", "-"), report.protocols[0]
    scored = [row for row in report.rows if not math.isnan(float(row[name]))]
    ordered = sorted(scored, key=lambda row: float(row[name]), reverse=True)
    chosen = [("best", rank, row) for rank, row in enumerate(ordered[:count], 1)]
    chosen += [("worst", rank, row) for rank, row in enumerate(ordered[::-1][:count], 1)]
    paths = []
    for end, rank, row in chosen:
        clip_name = re.sub(r"[^\w.-]+", "_", str(row["id"]))
        path = folder / f"{end}_{rank:02d}_{shown}_{float(row[name]):.3f}_{protocol}_{clip_name}.png"
        write_png(path, clip_picture(model, dataset, int(row["index"]), protocol))
        paths.append(path)
    return paths


def clip_picture(
    model: Model[Any], dataset: ClipDataset, index: int, protocol: str
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(2 H, T W, 3) uint8: frames with their truth above the same frames with the prediction."""
    transforms = eval_transforms(dataset.config, model.config.input, protocol=protocol)
    clip = apply(transforms, dataset[index], torch.Generator().manual_seed(0))
    place = next(model.parameters()).device
    batch = Batch.collate([clip], getattr(dataset, "batch_frames", None)).to(place)
    prediction = model.predict(batch)[0]
    assert isinstance(clip.target, DenseTarget) and isinstance(prediction, DensePrediction)
    columns = []
    for frame in range(min(len(clip.frames), MOST_FRAMES)):
        truth, predicted = clip.target.labels[frame].numpy(), prediction.labels(frame).cpu().numpy()
        picture = Image.fromarray(clip.frames[frame].permute(1, 2, 0).numpy()).resize(truth.shape[::-1])
        shown = np.asarray(picture)
        columns.append(np.concatenate([_painted(shown, truth, dataset.task), _painted(shown, predicted, model.task)]))
    return np.concatenate(columns, 1)


def _painted(picture: Any, labels: Any, task: Task) -> Any:
    names = dict(enumerate(task.classes, 1))
    return overlay(picture, np.where(labels == 255, 0, labels), names, palette(task))
