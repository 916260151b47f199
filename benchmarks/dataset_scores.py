"""Scores of one confusion matrix: one count a frame beside a loop over classes, in one run. Prints JSON.

The loop is the plain form of the formulas: for every class, compare the whole maps, frame by frame. The floor is one
pass over the bytes that have to be read (prediction and truth).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
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


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Seconds of the fastest of `repeats` runs, and what the last one gave."""
    seconds, result = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - started)
    return min(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--classes", type=int, default=22)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loops", type=int, default=2, help="runs of the loop over classes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    predicted, labels = maps(options.frames, (options.height, options.width), options.classes)
    loop, expected = timed(lambda: loop_over_classes(predicted, labels, options.classes), options.loops)
    ours, scores = timed(lambda: one_count(predicted, labels, options.classes), 10)
    floor, _ = timed(lambda: (predicted.sum(), labels.sum()), 10)
    figures = {
        "frames": options.frames,
        "size": [options.height, options.width],
        "classes": options.classes,
        "threads": options.threads,
        "loop_ms_a_frame": round(1000 * loop / options.frames, 3),
        "count_ms_a_frame": round(1000 * ours / options.frames, 3),
        "floor_ms_a_frame": round(1000 * floor / options.frames, 3),
        "times_faster": round(loop / ours, 1),
        "largest_difference": max(abs(scores[name] - expected[name]) for name in expected),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
