"""F curves of 100 masks of 224 x 224: one histogram beside the loop over thresholds, in one run. Prints JSON.

The floor is one pass over the bytes that have to be read (probabilities and truth).
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

from avseg.metrics.object import f_curve, thresholds


def loop_over_thresholds(probabilities: Tensor, truth: Tensor) -> Tensor:
    """The published formula, frame by frame and threshold by threshold: (M, 255)."""
    steps, truth = thresholds(), truth.float()
    curves = torch.zeros(len(probabilities), len(steps))
    for frame, (probability, wanted) in enumerate(zip(probabilities, truth, strict=True)):
        for i, step in enumerate(steps):
            chosen = (probability >= step).float()
            hit = (chosen * wanted).sum()
            precision, recall = hit / (chosen.sum() + 1e-20), hit / (wanted.sum() + 1e-20)
            curves[frame, i] = 1.3 * precision * recall / (0.3 * precision + recall)
    return curves.nan_to_num(0.0)


def masks(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Smooth probabilities, and truth that mostly agrees with them."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, 1, size // 4, size // 4, generator=generator)
    probabilities = functional.interpolate(logits, size=(size, size), mode="bilinear")[:, 0].sigmoid()
    return probabilities, probabilities + 0.5 * torch.rand(probabilities.shape, generator=generator) > 0.8


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
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loops", type=int, default=2, help="runs of the loop over thresholds")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    probabilities, truth = masks(options.masks, options.size)
    judged = torch.ones_like(truth)
    loop, expected = timed(lambda: loop_over_thresholds(probabilities, truth), options.loops)
    ours, curves = timed(lambda: f_curve(probabilities, truth, judged), 20)
    floor, _ = timed(lambda: (probabilities.sum(), truth.sum()), 20)
    figures = {
        "masks": options.masks,
        "size": options.size,
        "threads": options.threads,
        "loop_ms": round(1000 * loop, 3),
        "histogram_ms": round(1000 * ours, 3),
        "floor_ms": round(1000 * floor, 3),
        "times_faster": round(loop / ours, 1),
        "largest_difference": float(np.abs(curves - expected.numpy()).max()),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
