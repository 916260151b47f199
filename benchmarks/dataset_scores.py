"""Scores of one confusion matrix: one count a frame beside a loop over classes, in one run. Prints JSON.

The loop is the plain form of the formulas: for every class, compare the whole maps, frame by frame. The floor is one
pass over the bytes that have to be read (prediction and truth).
"""

from __future__ import annotations

import numpy as np
import torch
from harness import milliseconds, options_of, parser, spent, tell
from torch import Tensor
from torch.nn import functional

from avseg.metrics.dataset import dataset_scores
from avseg.metrics.semantic import class_counts
from avseg.types import IGNORE


def loop_over_classes(predicted: Tensor, labels: Tensor, classes: int) -> dict[str, float]:
    """mIoU, F, FDR and F1 of M frames, class by class; a class that is nowhere counts 0 in mIoU alone."""
    sums = torch.zeros(3, classes, dtype=torch.float64)
    for chosen, wanted in zip(predicted, labels, strict=True):
        judged = wanted != IGNORE
        for c in range(classes):
            p, g = (chosen == c) & judged, wanted == c
            sums[:, c] += torch.stack([(p & g).sum(), (p & ~g).sum(), (g & ~p).sum()])
    hit, false, missed = sums
    iou = hit / (hit + false + missed + 2.220446049250313e-16)
    f = 1.3 * hit / (1.3 * hit + 0.3 * missed + false)
    f1 = 2 * hit / (2 * hit + missed + false)
    scores = {"mIoU": iou, "F": f, "FDR": false / (hit + false), "F1": f1}
    return {name: float(values.nanmean()) for name, values in scores.items()}


def one_count(predicted: Tensor, labels: Tensor, classes: int) -> dict[str, float]:
    return dataset_scores(class_counts(predicted, labels, classes).sum(0), np.ones(classes, dtype=bool))


def maps(frames: int, size: tuple[int, int], classes: int) -> tuple[Tensor, Tensor]:
    """Truth of a few smooth regions with some ignored rows, and a prediction that mostly agrees with it."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(frames, classes, 9, 16, generator=generator)
    coarse[:, 0] += 2
    noise = 0.5 * torch.randn(coarse.shape, generator=generator)
    truth, predicted = (
        torch.stack([functional.interpolate(one[None], size=size, mode="bilinear")[0].argmax(0) for one in logits])
        for logits in (coarse, coarse + noise)
    )
    truth[:, : size[0] // 20] = IGNORE
    return predicted, truth


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--frames", type=int, default=4)
    shared.add_argument("--height", type=int, default=720)
    shared.add_argument("--width", type=int, default=1280)
    shared.add_argument("--classes", type=int, default=22)
    shared.add_argument("--loops", type=int, default=2, help="runs of the loop over classes")
    options = options_of(shared)
    predicted, labels = maps(options.frames, (options.height, options.width), options.classes)
    loop = spent(lambda: loop_over_classes(predicted, labels, options.classes), options.loops, warm=False)
    ours = spent(lambda: one_count(predicted, labels, options.classes), 10, warm=False)
    floor = spent(lambda: (predicted.sum(), labels.sum()), 10, warm=False)
    figures = {
        "frames": options.frames,
        "size": [options.height, options.width],
        "classes": options.classes,
        "threads": options.threads,
        "loop_ms_a_frame": milliseconds(loop.wall / options.frames),
        "count_ms_a_frame": milliseconds(ours.wall / options.frames),
        "floor_ms_a_frame": milliseconds(floor.wall / options.frames),
        "times_faster": round(loop.wall / ours.wall, 1),
        "largest_difference": max(abs(ours.result[name] - wanted) for name, wanted in loop.result.items()),
    }
    tell(figures, options.out)


if __name__ == "__main__":
    main()
