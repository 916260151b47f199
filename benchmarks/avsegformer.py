"""AVSegFormer with ResNet-50 on five frames: ours against the published form, time, numbers and memory.

    python benchmarks/avsegformer.py [--size 224] [--repeats 3] [--quick] [--threads 2] [--clock wall]
                                     [--out avsegformer.json]

Both sides run in turn in one process with the same weights, from pictures and audio embeddings on; each figure is the
fastest of its runs. `step_s4` has labels on the first of five frames, `step_ms3` on all of them. `above_backbone` is
the ratio of what both take beyond the backbone alone, which is the same for both. Memory is the peak of what a run
allocates, without the weights. On a busy machine, `--clock cpu --threads 1` counts processor time, which others do not
lengthen. `--profile` lists where the time of ours goes.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import torch
from harness import Clock, conditions, in_turn, options_of, parser, peak_bytes, tell
from published_avsegformer import PublishedNetwork
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import profile

from avseg.losses.dense import squared_dice_loss
from avseg.models.avsegformer.network import AVSegFormerNetwork
from avseg.models.avsegformer.presets import PRESETS

FRAMES = 5
Inputs = tuple[Tensor, Tensor]


def network(size: int, **changes: Any) -> tuple[AVSegFormerNetwork, Inputs]:
    """A network whose queries and sampling places differ, and inputs."""
    torch.manual_seed(0)
    ours = AVSegFormerNetwork(1, PRESETS["s4"](backbone="resnet50", **changes))
    for layer in ours.encoder.layers:
        nn.init.normal_(layer.attention.sampling_offsets.weight, std=0.02)
        nn.init.normal_(layer.attention.attention_weights.weight, std=0.05)
    return ours, (torch.randn(FRAMES, 3, size, size), torch.rand(FRAMES, 128))


def loss(net: nn.Module, inputs: Inputs, truth: Tensor, judged: int) -> Tensor:
    """The published one of the first `judged` frames, auxiliary mask included. Ours asks for no other answers."""
    asked = isinstance(net, AVSegFormerNetwork) and judged < FRAMES
    logits, feature, *_ = net(*inputs, wanted=torch.arange(judged)) if asked else net(*inputs)
    mix = F.interpolate(feature.mean(1, keepdim=True), truth.shape[-2:], mode="bilinear", align_corners=False)
    annotated = torch.ones(1, judged, dtype=torch.bool)
    return sum(
        weight * squared_dice_loss(values[:judged].sigmoid()[None], truth[:, :judged], annotated)
        for values, weight in ((logits, 1.0), (mix, 0.1))
    )


def forward_figures(size: int, repeats: int, clock: Clock) -> dict[str, Any]:
    ours, inputs = network(size)
    ours.eval()
    published = PublishedNetwork(ours).eval()
    laid_out = inputs[0].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        wanted = published(*inputs)[0]
        difference = float((ours(*inputs)[0] - wanted).abs().max() / wanted.std())
        runs = {
            "ours": lambda: ours(*inputs),
            "published": lambda: published(*inputs),
            "backbone": lambda: ours.backbone(laid_out),
            "published_backbone": lambda: published.backbone(inputs[0]),
        }
        seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
        peaks = {name: peak_bytes(runs[name]) for name in ("ours", "published")}
    return {**compared(seconds, peaks), "largest_difference_of_logits_in_deviations": difference}


def step_figures(size: int, repeats: int, clock: Clock, judged: int) -> dict[str, Any]:
    ours, inputs = network(size)
    ours.train()
    published = PublishedNetwork(ours).train()
    truth = (torch.rand(1, FRAMES, size, size) > 0.5).long()
    laid_out = inputs[0].contiguous(memory_format=torch.channels_last)
    optimisers = {net: torch.optim.AdamW(net.parameters(), lr=1e-6) for net in (ours, published)}

    def step(net: nn.Module) -> None:
        loss(net, inputs, truth, judged).backward()
        optimisers[net].step()
        optimisers[net].zero_grad()

    def backbone(net: nn.Module, images: Tensor) -> None:
        sum(feature.sum() for feature in net.backbone(images)).backward()
        net.zero_grad()

    runs = {
        "ours": lambda: step(ours),
        "published": lambda: step(published),
        "backbone": lambda: backbone(ours, laid_out),
        "published_backbone": lambda: backbone(published, inputs[0]),
    }
    seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
    peaks = {name: peak_bytes(runs[name]) for name in ("ours", "published")}
    return {**compared(seconds, peaks), "largest_relative_difference_of_gradients": gradient_difference(judged)}


def compared(seconds: dict[str, float], peaks: dict[str, int]) -> dict[str, Any]:
    # The faster form of the backbone is taken from both, which leaves the published form its own way of running it.
    floor = min(seconds["backbone"], seconds["published_backbone"])
    return {
        "seconds": seconds,
        "ratio": seconds["ours"] / seconds["published"],
        "above_backbone": {
            "ratio": (seconds["ours"] - seconds["backbone"]) / (seconds["published"] - seconds["published_backbone"]),
            "with_one_floor": (seconds["ours"] - floor) / (seconds["published"] - floor),
        },
        "peak_MB": {name: peak / 1e6 for name, peak in peaks.items()},
        "peak_ratio": peaks["ours"] / peaks["published"],
    }


def gradient_difference(judged: int) -> float:
    """Without dropout and in float64, on small pictures: of any parameter, relative to its largest gradient."""
    ours, (images, sound) = network(64, dropout=0.0)
    ours.double().train()
    published = PublishedNetwork(ours).double().train()
    truth = (torch.rand(1, FRAMES, 64, 64) > 0.5).long()
    for net in (ours, published):
        loss(net, (images.double(), sound.double()), truth, judged).backward()
    worst = 0.0
    for one, other in ((ours.backbone, published.backbone), (ours.encoder.level, published.places.level),
                       (ours.table, published.learnable_query), (ours.smooth, published.smooth),
                       (ours.generator.table, published.query), (ours.head.enter, published.head.mlp[0]),
                       (ours.head.second, published.head.fc[2])):  # fmt: skip
        for mine, theirs in zip(tensors(one), tensors(other), strict=True):
            difference = (mine - theirs.reshape_as(mine)).abs().max() / theirs.abs().max().clamp(min=1e-12)
            worst = max(worst, float(difference))
    return worst


def tensors(part: nn.Module | Tensor) -> list[Tensor]:
    parameters = [part] if isinstance(part, Tensor) else list(part.parameters())
    return [p.grad for p in parameters if p.grad is not None]


def profiled(size: int) -> None:
    """Print where the time of a forward and of a step goes."""
    ours, inputs = network(size)
    truth = (torch.rand(1, FRAMES, size, size) > 0.5).long()
    for mode in ("forward", "step"):
        ours.train(mode == "step")
        with profile() as recorded, torch.set_grad_enabled(mode == "step"):
            out = loss(ours, inputs, truth, FRAMES)
            if mode == "step":
                out.backward()
        print(mode, recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=25), sep="\n")


PARTS = {
    "forward": forward_figures,
    "step_s4": partial(step_figures, judged=1),
    "step_ms3": partial(step_figures, judged=FRAMES),
}


def main() -> None:
    shared = parser(__doc__, threads=2, clock=True)
    shared.add_argument("--size", type=int, default=224, help="height and width of the pictures")
    shared.add_argument("--quick", action="store_true", help="pictures of 64 pixels, one run each")
    shared.add_argument("--repeats", type=int, default=3, help="runs of each side, after one that does not count")
    shared.add_argument("--parts", nargs="+", default=tuple(PARTS), choices=tuple(PARTS))
    shared.add_argument("--profile", action="store_true")
    options = options_of(shared)
    size, repeats = (64, 1) if options.quick else (options.size, options.repeats)
    if options.profile:
        profiled(size)
        return
    figures = {}
    for part in options.parts:
        figures[part] = PARTS[part](size, repeats, options.clock)
        # At 512 the plain form may end the process for want of memory, which is not to cost the parts before.
        print(part, json.dumps(figures[part]), file=sys.stderr, flush=True)
    tell({"what": f"AVSegFormer ResNet-50, {FRAMES} frames of {size} x {size}, fp32", **conditions(options), **figures},
         options.out)  # fmt: skip


if __name__ == "__main__":
    main()
