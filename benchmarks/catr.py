"""CATR on five frames: ours against the published formulation, time, numbers and memory.

    python benchmarks/catr.py [--backbone resnet50] [--size 448] [--step-size 320] [--out catr.json]
    python benchmarks/catr.py --quick

`step_s4` wants the masks of the first of five frames, as the published training does, `step_ms3` those of all.

`--size` is that of the pictures as the network sees them, 448 as published. A published training step forms all
affinities and keeps them, some 25 GB at 448, so that steps are compared at `--step-size`. Both sides run in turn in one
process with the same weights; each figure is the fastest of its runs. Ratios are of what is spent above the backbone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from harness import Clock, conditions, in_turn, options_of, parser, peak_bytes, tell
from published_catr import PublishedNetwork
from torch import Tensor, nn

from avseg.models.catr.network import CATRNetwork
from avseg.models.catr.presets import PUBLISHED

FRAMES = 5
Inputs = tuple[Tensor, Tensor]


def network(backbone: str, **changes: Any) -> CATRNetwork:
    torch.manual_seed(0)
    return CATRNetwork(PUBLISHED(backbone=backbone, **changes))


def inputs(size: int) -> Inputs:
    torch.manual_seed(1)
    return torch.randn(FRAMES, 3, size, size), torch.rand(FRAMES, 128)


def sides(ours: CATRNetwork, given: Inputs, wanted: int = FRAMES) -> dict[str, Callable[[], Tensor]]:
    """Masks of both networks, (wanted, L, Q, h, w), and the maps of the backbone alone. The published form computes
    those of all frames."""
    published, (images, audio) = PublishedNetwork(ours).train(ours.training), given
    laid_out = images.contiguous(memory_format=torch.channels_last)
    return {
        "ours": lambda: ours(images, audio, None if wanted == FRAMES else torch.arange(wanted))[0],
        "published": lambda: published(images, audio[:, None], FRAMES)[0].transpose(0, 1)[:wanted],
        "backbone": lambda: torch.stack([x.sum() for x in ours.backbone(laid_out)]),
    }


def forward_figures(ours: CATRNetwork, size: int, repeats: int, clock: Clock) -> dict[str, Any]:
    runs = sides(ours.eval(), inputs(size))
    with torch.inference_mode():
        own, other = runs["ours"](), runs["published"]()
        seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
        peaks = {name: peak_bytes(run) for name, run in runs.items()}
    difference = (own - other).abs().max() / other.abs().max()
    return {**told(seconds, peaks), "size": size, "largest_difference_of_masks": difference.item()}


def step_figures(ours: CATRNetwork, size: int, repeats: int, clock: Clock, wanted: int) -> dict[str, Any]:
    """Forward and backward, dropout on; the loss is the mean square of the wanted frames' masks."""
    runs = {name: stepping(run) for name, run in sides(ours.train(), inputs(size), wanted).items()}
    seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
    return {**told(seconds, {name: peak_bytes(run) for name, run in runs.items()}), "size": size}


def stepping(run: Callable[[], Tensor]) -> Callable[[], None]:
    return lambda: run().square().mean().backward()


def told(seconds: dict[str, float], peaks: dict[str, int]) -> dict[str, Any]:
    above = {name: seconds[name] - seconds["backbone"] for name in ("ours", "published")}
    return {
        "seconds": seconds,
        "ratio": seconds["ours"] / seconds["published"],
        "ratio_above_backbone": above["ours"] / above["published"],
        "peak_MB": {name: peak / 1e6 for name, peak in peaks.items()},
        "peak_ratio": peaks["ours"] / peaks["published"],
    }


def gradient_difference(backbone: str) -> float:
    """In float64 on small pictures, without dropout: of any parameter, relative to its largest gradient."""
    ours = network(backbone, dropout=0.0).double().eval()
    published = PublishedNetwork(ours).double().eval()
    images, audio = (x.double() for x in inputs(64))
    ours(images, audio)[0].square().mean().backward()
    published(images, audio[:, None], FRAMES)[0].square().mean().backward()
    pairs = [(ours.neck, published.neck[1:]), (ours.sound, published.sound), (ours.backbone, published.backbone)]
    pairs += [(ours.mask_features, published.masks), (ours.temporal_encoder.first, published.first)]
    for own, other in zip(ours.temporal_encoder.layers, published.temporal, strict=True):
        pairs += [(own.seen, other.seen)] + ([(own.heard, other.heard)] if own.heard is not None else [])
    return max(_apart(own, other) for own, other in pairs)


def _apart(own: nn.Module, other: nn.Module) -> float:
    theirs, worst = dict(other.named_parameters()), 0.0
    for name, parameter in own.named_parameters():
        if parameter.grad is not None and (largest := theirs[name].grad.abs().max()) > 1e-12:
            worst = max(worst, float((parameter.grad - theirs[name].grad).abs().max() / largest))
    return worst


def main() -> None:
    shared = parser(__doc__, threads=2, clock=True)
    shared.add_argument("--backbone", default="resnet50")
    shared.add_argument("--size", type=int, default=448, help="pixels of a side, enlargement done")
    shared.add_argument("--step-size", type=int, default=320, help="the same in training steps")
    shared.add_argument("--quick", action="store_true", help="a small backbone, 64 pixels, one run each")
    options = options_of(shared)
    backbone, repeats = ("test_resnet", 1) if options.quick else (options.backbone, 3)
    size, step_size = (64, 64) if options.quick else (options.size, options.step_size)
    ours = network(backbone)
    result = {
        "what": f"CATR {backbone}, {FRAMES} frames, fp32",
        **conditions(options),
        "largest_relative_difference_of_gradients": gradient_difference(backbone),
        "forward": forward_figures(copy.deepcopy(ours), size, repeats, options.clock),
        "step_s4": step_figures(copy.deepcopy(ours), step_size, repeats, options.clock, 1),
        "step_ms3": step_figures(ours, step_size, repeats, options.clock, FRAMES),
    }
    tell(result, options.out)


if __name__ == "__main__":
    main()
