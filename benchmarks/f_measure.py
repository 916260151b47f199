"""F curves of 100 masks of 224 x 224: one histogram beside the loop over thresholds, in one run. Prints JSON.

The floor is one pass over the bytes that have to be read (probabilities and truth).
"""

from __future__ import annotations

import numpy as np
import torch
from harness import milliseconds, options_of, parser, spent, tell
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


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--masks", type=int, default=100)
    shared.add_argument("--size", type=int, default=224)
    shared.add_argument("--loops", type=int, default=2, help="runs of the loop over thresholds")
    options = options_of(shared)
    probabilities, truth = masks(options.masks, options.size)
    judged = torch.ones_like(truth)
    loop = spent(lambda: loop_over_thresholds(probabilities, truth), options.loops, warm=False)
    ours = spent(lambda: f_curve(probabilities, truth, judged), 20, warm=False)
    floor = spent(lambda: (probabilities.sum(), truth.sum()), 20, warm=False)
    figures = {
        "masks": options.masks,
        "size": options.size,
        "threads": options.threads,
        "loop_ms": milliseconds(loop.wall),
        "histogram_ms": milliseconds(ours.wall),
        "floor_ms": milliseconds(floor.wall),
        "times_faster": round(loop.wall / ours.wall, 1),
        "largest_difference": float(np.abs(ours.result - loop.result.numpy()).max()),
    }
    tell(figures, options.out)


if __name__ == "__main__":
    main()
