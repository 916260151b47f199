"""TPAVI with ResNet-50 on five frames of 224 x 224: ours against the published formulation, time, numbers and memory.

    python benchmarks/tpavi.py [--quick] [--threads 2] [--clock wall] [--out tpavi.json]

On a busy machine, `--clock cpu --threads 1` counts processor time, which others do not lengthen. Both sides run in turn
in one process with the same weights; each figure is the fastest of its runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from harness import Clock, conditions, in_turn, options_of, parser, peak_bytes, tell
from published_tpavi import PublishedBlock, PublishedNetwork
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from avseg.models.tpavi.network import TPAVINetwork
from avseg.nn.attention import AudioVisualAttention

FRAMES = 5
Subject = tuple[TPAVINetwork, Tensor, Tensor]


def network(size: int) -> Subject:
    """A network whose blocks do something, and inputs."""
    torch.manual_seed(0)
    ours = TPAVINetwork(1, "resnet50", attention={stage: AudioVisualAttention() for stage in range(4)}, group=FRAMES)
    for module in ours.modules():
        if isinstance(module, AudioVisualAttention):
            nn.init.ones_(module.batch_norm.weight)
    return ours, torch.randn(FRAMES, 3, size, size), torch.rand(FRAMES, 128)


def forward_figures(subject: Subject, repeats: int, clock: Clock) -> dict[str, Any]:
    ours, images, audio = subject
    ours.eval()
    published = PublishedNetwork(ours).eval()
    laid_out = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        difference = (ours(images, audio)[0] - published(images, audio)).abs().max().item()
        runs = {
            "ours": lambda: ours(images, audio),
            "published": lambda: published(images, audio),
            "backbone": lambda: ours.backbone(laid_out),
        }
        seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
        gflop = {name: flops(run) for name, run in runs.items()}
    return {
        "seconds": seconds,
        "gflop": gflop,
        "ratio": seconds["ours"] / seconds["published"],
        "largest_difference_of_logits": difference,
        "share_outside_backbone": 1 - seconds["backbone"] / seconds["ours"],
        "floor_seconds": seconds["backbone"],
        "gflop_per_second": gflop["ours"] / seconds["ours"],
    }


def step_figures(subject: Subject, repeats: int, clock: Clock) -> dict[str, Any]:
    ours, images, audio = subject
    ours.train()
    published = PublishedNetwork(ours).train()
    truth = (torch.rand(FRAMES, 1, *images.shape[-2:]) > 0.5).float()
    laid_out = images.contiguous(memory_format=torch.channels_last)
    optimisers = {net: torch.optim.Adam(net.parameters(), lr=1e-6) for net in (ours, published)}

    def step(net: nn.Module) -> None:
        optimisers[net].zero_grad()
        loss(net, images, audio, truth).backward()
        optimisers[net].step()

    def backbone() -> None:
        sum(feature.sum() for feature in ours.backbone(laid_out)).backward()

    runs = {"ours": lambda: step(ours), "published": lambda: step(published), "backbone": backbone}
    seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
    return {
        "seconds": seconds,
        "ratio": seconds["ours"] / seconds["published"],
        "largest_relative_difference_of_gradients": gradient_difference(),
        "floor_seconds": seconds["backbone"],
    }


def loss(net: nn.Module, images: Tensor, audio: Tensor, truth: Tensor) -> Tensor:
    out = net(images, audio)
    return nn.functional.binary_cross_entropy_with_logits(out[0] if isinstance(out, tuple) else out, truth)


def gradient_difference() -> float:
    """In training mode and float64, on small pictures: of any parameter, relative to its largest gradient."""
    ours, images, audio = network(96)
    ours.double().train()
    published = PublishedNetwork(ours).double().train()
    truth = (torch.rand(FRAMES, 1, 96, 96) > 0.5).double()
    for net in (ours, published):
        loss(net, images.double(), audio.double(), truth).backward()
    renamed = {"query": "theta", "key": "phi", "value": "g"}
    theirs = dict(published.named_parameters())
    worst = 0.0
    for name, parameter in ours.named_parameters():
        other = theirs[".".join(renamed.get(part, part) for part in name.split("."))].grad
        if parameter.grad is not None and other is not None and other.abs().max() > 1e-12:
            difference = (parameter.grad - other.reshape_as(parameter)).abs().max() / other.abs().max()
            worst = max(worst, difference.item())
    return worst


def flops(run: Callable[[], Any]) -> float:
    """GFLOP that PyTorch counts, taps on padding included."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def memory_figures(size: int) -> dict[str, Any]:
    """Peak of what one block at the finest stage allocates, beyond its input."""
    torch.manual_seed(0)
    linear = AudioVisualAttention()
    nn.init.ones_(linear.batch_norm.weight)
    quadratic = PublishedBlock(copy.deepcopy(linear))
    x, audio = torch.randn(FRAMES, 256, size // 4, size // 4), torch.rand(FRAMES, 128)
    laid_out = x.contiguous(memory_format=torch.channels_last)
    figures: dict[str, Any] = {}
    for mode in ("inference", "training"):
        linear.train(mode == "training")
        quadratic.train(mode == "training")
        with torch.set_grad_enabled(mode == "training"):
            ours = peak_bytes(lambda: both_ways(linear(laid_out, audio, FRAMES)[0]))
            published = peak_bytes(lambda: both_ways(quadratic(x, audio, FRAMES)))
        figures[mode] = {
            "ours_MB": ours / 1e6,
            "published_MB": published / 1e6,
            "ratio": ours / published,
        }
    # With fixed statistics: in training, batch norm blows the rounding of both sides up by the smallness of its input.
    linear.eval()
    quadratic.eval()
    with torch.inference_mode():
        difference = linear(laid_out, audio, FRAMES)[0] - quadratic(x, audio, FRAMES)
    return {**figures, "largest_difference": difference.abs().max().item()}


def both_ways(out: Tensor) -> None:
    """The backward pass of a forward pass, where there is one."""
    if out.requires_grad:
        out.sum().backward()


def main() -> None:
    shared = parser(__doc__, threads=2, clock=True)
    shared.add_argument("--quick", action="store_true", help="pictures of 96 pixels, two runs each")
    options = options_of(shared)
    size, repeats = (96, 2) if options.quick else (224, 5)
    result = {
        "what": f"TPAVI ResNet-50, {FRAMES} frames of {size} x {size}, fp32",
        **conditions(options),
        "attention_block_peak_memory": memory_figures(size),
        "forward": forward_figures(network(size), repeats, options.clock),
        "training_step": step_figures(network(size), max(repeats - 2, 2), options.clock),
    }
    tell(result, options.out)


if __name__ == "__main__":
    main()
