"""CAVP with ResNet-50 and DeepLabV3+: ours against the published formulation, time and numbers.

    python benchmarks/cavp.py [--quick] [--threads 2] [--clock wall] [--device cpu] [--out cavp.json]

On a busy machine, `--clock cpu --threads 1` counts processor time, which others do not lengthen. Both sides run in turn
in one process with the same weights; each figure is the fastest of its runs. The contrastive term has a script of its
own, benchmarks/contrast.py; here a step's loss is the cross-entropy and a square of both halves of the embeddings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from published_cavp import PublishedFusion, PublishedNetwork
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.cavp.config import CAVPConfig, published_config
from avseg.models.cavp.network import CAVPNetwork

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def in_turn(runs: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of the fastest run of each, after one for warmth."""
    best = dict.fromkeys(runs, float("inf"))
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            best[name] = min(best[name], clock() - start) if turn else best[name]
    return best


def built(config: CAVPConfig, classes: int, device: str) -> tuple[CAVPNetwork, PublishedNetwork]:
    torch.manual_seed(0)
    ours = CAVPNetwork(classes, config)
    return ours.to(device), PublishedNetwork(ours).to(device)


def inputs(config: CAVPConfig, pictures: int, sounds: int, size: int, device: str) -> tuple[Tensor, Tensor]:
    images = torch.randn(pictures, 3, size, size, device=device)
    return images, 0.3 * torch.randn(sounds, config.audio_channels, config.mel_frames, 64, device=device)


def forward_figures(variant: Any, size: int, device: str, repeats: int, clock: Callable[[], float]) -> dict[str, Any]:
    """One picture with its sound, as in evaluation."""
    config = published_config(variant)
    ours, published = (net.eval() for net in built(config, 71, device))
    images, log_mel = inputs(config, 1, 1, size, device)
    laid_out = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        difference = (ours(images, log_mel)[0] - published(images, log_mel)[0]).abs().max().item()
        seconds = in_turn(
            {
                "ours": lambda: ours(images, log_mel),
                "published": lambda: published(images, log_mel),
                "backbone": lambda: ours.backbone(laid_out),
            },
            repeats,
            clock,
        )
    ratio = seconds["ours"] / seconds["published"]
    return {"seconds": seconds, "ratio": ratio, "largest_difference_of_logits": difference}


def step_figures(
    variant: Any, size: int, batch: int, device: str, repeats: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """`batch` pictures with twice as many sounds: forward, backward, one step of SGD."""
    config = published_config(variant)
    ours, published = (net.train() for net in built(config, 71, device))
    images, log_mel = inputs(config, batch, 2 * batch, size, device)
    labels = torch.randint(0, 71, (batch, size // 4, size // 4), device=device)
    optimisers = {net: torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9) for net in (ours, published)}

    def step(net: nn.Module, logits: Tensor, embeddings: Tensor) -> None:
        optimisers[net].zero_grad()
        (F.cross_entropy(logits, labels) + embeddings.square().mean()).backward()
        optimisers[net].step()

    def our_step() -> None:
        embeddings = ours.fuse(ours.see(images).features, ours.hear(log_mel))
        step(ours, ours.classify(embeddings, batch), embeddings)

    def published_step() -> None:
        logits, embeddings = published(images, log_mel)
        step(published, logits[:batch], embeddings)

    seconds = in_turn({"ours": our_step, "published": published_step}, repeats, clock)
    return {"batch": batch, "seconds": seconds, "ratio": seconds["ours"] / seconds["published"]}


def fusion_figures(size: int, device: str, repeats: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Projector and fusion alone, two pictures with two sounds each: forward, and forward with backward."""
    ours, published = built(published_config("vpo"), 22, device)
    theirs: PublishedFusion = published.fusion
    seen = torch.randn(2, ours.width, size // 4, size // 4, device=device).to(memory_format=torch.channels_last)
    heard = torch.randn(4, ours.width, device=device)

    def plain() -> Tensor:
        rows = torch.cat([seen, seen]).flatten(2).transpose(1, 2)
        fused: Tensor = theirs(published.projector(rows), heard)
        return fused

    figures: dict[str, Any] = {}
    with torch.inference_mode():
        rows = ours.fuse(seen, heard).flatten(2).transpose(1, 2)
        figures["largest_difference"] = (rows - plain()).abs().max().item()
        figures["forward"] = in_turn({"ours": lambda: ours.fuse(seen, heard), "published": plain}, repeats, clock)
    figures["forward_and_backward"] = in_turn(
        {
            "ours": lambda: ours.fuse(seen, heard).square().mean().backward(),
            "published": lambda: plain().square().mean().backward(),
        },
        repeats,
        clock,
    )
    for what in ("forward", "forward_and_backward"):
        figures[what]["ratio"] = figures[what]["ours"] / figures[what]["published"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="pictures of 64 pixels, two runs each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, clock = options.device, CLOCKS[options.clock]
    small, large, repeats = (64, 64, 2) if options.quick else (224, 512, 3)
    batch = 2 if device == "cpu" else 16
    result = {
        "what": "CAVP, ResNet-50, DeepLabV3+, fp32",
        "device": f"{device}, {options.clock} clock, {options.threads} CPU threads",
        "torch": torch.__version__,
        f"fusion_{small}": fusion_figures(small, device, repeats, clock),
        f"forward_avss_{small}": forward_figures("avss_224", small, device, repeats, clock),
        f"forward_vpo_{large}": forward_figures("vpo", large, device, repeats, clock),
        f"training_step_avss_{small}": step_figures("avss_224", small, batch, device, repeats, clock),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
