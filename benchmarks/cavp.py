"""CAVP with ResNet-50 and DeepLabV3+: ours against the published formulation, time and numbers. Prints JSON.

    python benchmarks/cavp.py [--cases avss_224 vpo] [--quick] [--threads 2] [--clock wall] [--device cpu]
                              [--repeats 3] [--batch 0] [--profile] [--out cavp.json]

`avss_224` has four pictures of 224 pixels, 71 classes and VGGish; `vpo` two of 512 pixels, output stride 8, 22 classes
and ResNet-18; on a GPU both have 16. The forward gives logits at the size of the pictures, each with its own sound. The
step is forward, cross-entropy, the contrastive term and backward, without an optimiser; half of the pictures are given
a sound of the bank, the most that publication overwrites. `fusion` is projector and attention alone, both halves. The
floor is the backbone. Both sides run in turn in one process with the same weights, which ours takes through the
converter; each figure is the fastest of its runs. On a busy machine, `--clock cpu --threads 1` counts processor time,
which others do not lengthen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from contrast import published_info_nce, published_pixels
from harness import conditions, in_turn, options_of, parser, tell
from published_cavp import PublishedNetwork, published_cross_entropy
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from avseg.losses import ContrastConfig, contrastive_loss
from avseg.losses.dense import pixel_loss
from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.convert import network_state
from avseg.models.cavp.network import CAVPNetwork
from avseg.models.cavp.presets import PRESETS, Variant
from avseg.models.dense import sized
from avseg.models.files import load_strictly


@dataclass(frozen=True)
class Case:
    variant: Variant
    size: int
    classes: int
    batch: int


CASES = {"avss_224": Case("avss_224", 224, 71, 4), "vpo": Case("vpo", 512, 22, 2)}
Timer = Callable[[dict[str, Callable[[], Any]]], dict[str, float]]


@dataclass
class Subject:
    """Both sides and what they are given."""

    config: CAVPConfig
    contrast: ContrastConfig
    ours: CAVPNetwork
    published: PublishedNetwork
    images: Tensor
    sounds: Tensor
    """Those of the B pictures, then B // 2 of the bank."""
    heard: Tensor
    """(2 * B,) places of the sounds: each picture's own, then the given ones."""
    labels: Tensor
    given_labels: Tensor
    """What is true beside the given sounds: background throughout where they are wrong."""

    @property
    def own_sounds(self) -> Tensor:
        return self.sounds[: len(self.images)]

    def our_loss(self) -> Tensor:
        count = len(self.images)
        if self.config.audio_network == "vgg":  # has no batch norms, so that every sound is heard once
            heard = self.ours.hear(self.sounds)[self.heard]
        else:
            heard = self.ours.hear(self.sounds[self.heard])
        embeddings = self.ours.fuse(self.ours.see(self.images).features, heard)
        logits = self.ours.classify(embeddings, count)
        size = (self.images.shape[-2], self.images.shape[-1])
        return pixel_loss(sized(logits, size), self.labels) + self.our_contrast(embeddings)

    def our_contrast(self, embeddings: Tensor) -> Tensor:
        matched, shuffled = embeddings.chunk(2)
        draws = torch.Generator().manual_seed(0)
        return contrastive_loss(matched, shuffled, self.labels, self.given_labels, self.contrast, draws)

    def published_loss(self, draw_alike: bool = False) -> Tensor:
        logits, embeddings = self.published(self.images, self.sounds[self.heard])
        loss = published_cross_entropy(logits, self.labels)
        if draw_alike:
            return loss + self.our_contrast(embeddings)
        labels, given = (
            functional.interpolate(t[:, None].float(), embeddings.shape[-2:], mode="nearest").flatten().long()
            for t in (self.labels, self.given_labels)
        )
        pixels, classes = published_pixels(labels, given, *embeddings.chunk(2))
        return loss + published_info_nce(pixels, classes, self.contrast.temperature)


def subject(
    case: Case, device: str, dtype: torch.dtype = torch.float32, contrast: ContrastConfig | None = None
) -> Subject:
    torch.manual_seed(0)
    config, batch, size = PRESETS[case.variant](), case.batch, case.size
    assert isinstance(config, CAVPConfig)
    published = PublishedNetwork(case.classes, config.output_stride, config.audio_network, config.audio_channels)
    ours = CAVPNetwork(case.classes, config)
    load_strictly(ours, network_state(published.state_dict()), "the transcription")
    labels = torch.zeros(batch, size, size, dtype=torch.int64)
    for index, picture in enumerate(labels):
        picture[size // 4 :, size // 3 :] = 1 + index % 2  # two thirds times three quarters, so that both classes count
    permutation = torch.arange(batch).roll(1)
    permutation[: batch // 2] = torch.arange(batch, batch + batch // 2)
    given_labels = labels.clone()
    given_labels[batch // 2 :] = 0
    sounds = 0.3 * torch.randn(batch + batch // 2, config.audio_channels, config.mel_frames, 64)
    return Subject(
        config=config,
        contrast=contrast or ContrastConfig(),
        ours=ours.to(device, dtype),
        published=published.to(device, dtype),
        images=torch.randn(batch, 3, size, size).to(device, dtype),
        sounds=sounds.to(device, dtype),
        heard=torch.cat([torch.arange(batch), permutation]).to(device),
        labels=labels.to(device),
        given_labels=given_labels.to(device),
    )


def forward_figures(s: Subject, timer: Timer) -> dict[str, Any]:
    s.ours.eval(), s.published.eval()
    size = (s.images.shape[-2], s.images.shape[-1])
    laid_out = s.images.contiguous(memory_format=torch.channels_last)

    def ours() -> Tensor:
        return sized(s.ours(s.images, s.own_sounds)[0], size)

    def published() -> Tensor:
        logits: Tensor = s.published(s.images, s.own_sounds)[0]
        return logits

    with torch.inference_mode():
        theirs = published()
        difference = (ours() - theirs).abs().max().item()
        largest = theirs.abs().max().item()
        seconds = timer({"ours": ours, "published": published, "backbone": lambda: s.ours.backbone(laid_out)})
    return {**compared(seconds), "largest_logit": largest, "largest_difference_of_logits": difference}


def step_figures(s: Subject, timer: Timer) -> dict[str, Any]:
    s.ours.train(), s.published.train()
    laid_out = s.images.contiguous(memory_format=torch.channels_last)

    def backbone() -> None:
        s.ours.zero_grad()
        sum(maps.sum() for maps in s.ours.backbone(laid_out)).backward()

    def step(net: torch.nn.Module, loss: Callable[[], Tensor]) -> None:
        net.zero_grad()
        loss().backward()

    seconds = timer(
        {
            "ours": lambda: step(s.ours, s.our_loss),
            "published": lambda: step(s.published, s.published_loss),
            "backbone": backbone,
        }
    )
    return compared(seconds)


def fusion_figures(s: Subject, timer: Timer) -> dict[str, Any]:
    """Projector and attention alone, forward and backward, of B pictures with 2B sounds."""
    side = s.images.shape[-1] // 4
    seen = torch.randn(len(s.images), s.ours.width, side, side, device=s.images.device)
    laid_out = seen.contiguous(memory_format=torch.channels_last)
    heard = torch.randn(len(s.heard), s.ours.width, device=s.images.device)

    def published() -> Tensor:
        pixels = s.published.visual_projector(torch.cat([seen, seen]).flatten(2).transpose(1, 2))
        fused: Tensor = s.published.cross_att(pixels, heard)
        return fused.transpose(1, 2).reshape(-1, *seen.shape[1:])

    for tensor in (seen, laid_out, heard):
        tensor.requires_grad_()
    with torch.inference_mode():
        difference = (s.ours.fuse(laid_out, heard) - published()).abs().max().item()
    seconds = timer(
        {
            "ours": lambda: s.ours.fuse(laid_out, heard).square().mean().backward(),
            "published": lambda: published().square().mean().backward(),
        }
    )
    return {**compared(seconds), "largest_difference": difference}


def compared(seconds: dict[str, float]) -> dict[str, Any]:
    return {
        "seconds": {k: round(v, 4) for k, v in seconds.items()},
        "ratio": round(seconds["ours"] / seconds["published"], 3),
    }


def gradient_difference(case: Case, device: str) -> dict[str, float]:
    """Of a whole step in float64 on small pictures, of any parameter, relative to its largest; both draw alike."""
    small = Case(case.variant, 96, case.classes, 4)
    s = subject(small, device, torch.float64, ContrastConfig(views=64))
    s.ours.train(), s.published.train()
    ours, published = s.our_loss(), s.published_loss(draw_alike=True)
    ours.backward(), published.backward()
    theirs = network_state({n: p.grad for n, p in s.published.named_parameters() if p.grad is not None})
    worst = 0.0
    for name, parameter in s.ours.named_parameters():
        assert parameter.grad is not None, name
        worst = max(worst, relative(parameter.grad, theirs[name]))
    return {"loss": relative(ours.detach(), published.detach()), "gradients": worst}


def relative(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-9)).item()


def profiled(s: Subject, device: str) -> str:
    """Where the time of our step goes, by operation."""
    s.ours.train()
    s.our_loss().backward()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        s.our_loss().backward()
    rows = sorted(recorded.key_averages(group_by_input_shape=True), key=lambda row: -row.self_cpu_time_total)
    return "\n".join(
        f"{row.self_cpu_time_total / 1e3:8.1f} ms {row.count:4} x {row.key} {[x for x in row.input_shapes if x]}"
        for row in rows[:45]
    )


def main() -> None:
    shared = parser(__doc__, threads=2, clock=True, device=True)
    shared.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    shared.add_argument("--quick", action="store_true", help="pictures of 96 pixels, one run each")
    shared.add_argument("--repeats", type=int, default=3)
    shared.add_argument("--batch", type=int, default=0, help="pictures, in place of the case's")
    shared.add_argument("--profile", action="store_true", help="of our step, by operation, in place of figures")
    options = options_of(shared)
    device, repeats = options.device, 1 if options.quick else options.repeats

    def timer(runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
        return {name: spent.of(options.clock) for name, spent in in_turn(runs, repeats, device=device).items()}

    result: dict[str, Any] = {"what": "CAVP, ResNet-50, DeepLabV3+, float32", **conditions(options)}
    for name in options.cases:
        case = CASES[name]
        batch = options.batch or (case.batch if device == "cpu" else 16)
        case = Case(case.variant, 96 if options.quick else case.size, case.classes, batch)
        s = subject(case, device)
        if options.profile:
            print(profiled(s, device))
            continue
        result[name] = {
            "pictures": f"{batch} of {case.size} x {case.size}",
            "forward": forward_figures(s, timer),
            "training_step": step_figures(s, timer),
            "fusion": fusion_figures(s, timer),
            "relative_difference_of_a_step_in_float64": gradient_difference(case, device),
        }
    tell(result, options.out)


if __name__ == "__main__":
    main()
