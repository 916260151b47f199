"""The published network's numbers at full size, through our converter; weights by formulas
(docs/explanation/golden.md)."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avseg.models.avsegformer.convert import convert
from avseg.models.avsegformer.model import AVSegFormer, AVSegFormerOutput
from avseg.types import DenseTarget
from golden_arrays import arr
from golden_weights import seeded_weight

GOLDEN = Path(__file__).parents[1] / "golden/avsegformer"
CASES = ("s4_r50", "s4_r50_512", "ms3_r50", "avss_r50", "s4_pvt", "ms3_pvt", "avss_pvt")
STAGES = {
    "audio_proj": "audio_projection",
    **{f"in_proj.{level}": f"projections.{level}" for level in range(4)},
    "query_generator.layers.0": "generator.layers.0",
    "query_generator": "generator",
    "encoder.layers.0.self_attn": "encoder.layers.0.attention",
    "encoder.layers.0": "encoder.layers.0",
    "memory": "encoder",
    "decoder.layers.0": "decoder.0",
    "decoder.output": "decoder.5",
    "lateral_conv": "lateral",
    "fusion_block.gate": "mixer",
    "fc.0": "head.first",
}
"""Inner stages and the parts of ours whose output they are."""
PARTS = {
    "backbone": "backbone",
    "audio_proj": "audio_projection",
    "head.level_embed": "encoder.level",
    "head.learnable_query": "table",
    "head.query_generator": "generator",
    "head.transformer.encoder": "encoder.layers",
    "head.transformer.decoder": "decoder",
    "head.in_proj": "projections",
    "head.mlp": ("head.enter", "head.mix", "head.leave"),
    "head.fusion_block": "mixer",
    "head.lateral_conv": "lateral",
    "head.out_conv": "smooth",
    "head.fc": ("head.first", "head.second", "head.classify"),
}


class Weights:
    """Seeded tensors, each drawn once: those of VGGish and of the heads are in all lists."""

    def __init__(self) -> None:
        self.drawn: dict[tuple[Any, ...], Tensor] = {}

    def state(self, figures: Any) -> dict[str, Tensor]:
        told = figures["weights"]
        keys = [(n, tuple(s), k) for n, s, k in json.loads((GOLDEN / told["file"]).read_text(encoding="utf-8"))]
        missing = [key for key in keys if key not in self.drawn]
        with ThreadPoolExecutor(2) as pool:
            drawn = pool.map(lambda key: seeded_weight(*key, told["seed"]), missing)
            self.drawn |= dict(zip(missing, drawn, strict=True))
        found = {key[0]: self.drawn[key] for key in keys}
        for pattern, factor in told["then_multiply"].items():
            found |= {name: tensor * factor for name, tensor in found.items() if fnmatch(name, pattern)}
        return found


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights()


def figures_of(case: str) -> Any:
    return json.loads((GOLDEN / f"golden_{case}.json").read_text(encoding="utf-8"))


def model_of(weights: Weights, case: str, figures: Any) -> AVSegFormer:
    variant = case.replace("_r50", "").replace("_pvt", "")
    return convert(weights.state(figures), variant=variant)  # type: ignore[arg-type]


def inputs_of(figures: Any) -> tuple[dict[str, Tensor], Tensor | None]:
    """Frames, log-mel and truth; and of AVSS which frames there are."""
    made = {name: torch.from_numpy(arr(**recipe)) for name, recipe in figures["inputs"].items()}
    if "vid_flag" not in figures:
        return made, None
    valid = torch.tensor(figures["vid_flag"])
    made["frames"][valid == 0], made["log_mel"][valid == 0] = 0, 0
    return made, valid


def check(name: str, record: Any, tensor: Tensor, slack: float) -> None:
    """Every value that is kept, and figures of the whole tensor."""
    assert tensor.numel() == math.prod(record["shape"]), name
    whole, count = tensor.detach().double().flatten(), len(record["values"])
    got = whole[[i * len(whole) // count for i in range(count)]]
    largest = max(1.0, abs(record["min"]), abs(record["max"]))
    rounding = 1e-5 * largest  # of the file: six digits
    wanted = torch.tensor(record["values"], dtype=torch.float64)
    assert float((got - wanted).abs().max()) < slack + rounding, name
    for what, value in (("mean", whole.mean()), ("std", whole.std(correction=0)), ("min", whole.min()),
                        ("max", whole.max())):  # fmt: skip
        assert float(value) == pytest.approx(record[what], abs=slack + rounding), f"{name}.{what}"
    assert float(whole.norm()) == pytest.approx(record["l2"], rel=1e-5), name


@pytest.mark.parametrize("case", CASES)
def test_published_numbers(weights: Weights, case: str) -> None:
    figures = figures_of(case)
    model = model_of(weights, case, figures)
    inputs, valid = inputs_of(figures)
    network, seen = model.network, {}
    learns = case in ("ms3_r50", "avss_r50", "s4_pvt")  # one of each loss, and of each backbone
    hooks = [network.get_submodule(part).register_forward_hook(kept(seen, stage)) for stage, part in STAGES.items()]
    with torch.set_grad_enabled(learns):
        sound = model.audio_network(inputs["log_mel"])  # type: ignore[misc]
        logits, feature, _ = network(inputs["frames"], sound, valid)
    for hook in hooks:
        hook.remove()
    noise, stages = figures["noise"], figures["stages"]
    check("vggish", stages["vggish"], sound, 1e-4)
    check("mask_feature", stages["mask_feature"], feature.contiguous(), 3 * noise["mask_feature"])
    check("logits", stages["logits"], logits, max(1e-4, 3 * noise["logits"]))
    for stage, tensor in seen.items():
        check(stage, stages[stage], tensor.contiguous(), 1e-4)
    if learns:
        check_losses(model, logits, feature, inputs["target"], figures)


def kept(outputs: dict[str, Tensor], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        assert name not in outputs
        outputs[name] = output

    return hook


def check_losses(model: AVSegFormer, logits: Tensor, feature: Tensor, truth: Tensor, figures: Any) -> None:
    """Both terms of each kind, and the norms of the gradients of their sum in every part (of Dice)."""
    labels = torch.zeros(1, len(logits), *logits.shape[-2:], dtype=torch.long)
    given = truth.reshape(-1, *logits.shape[-2:]).long()
    labels[0, : len(given)] = given
    annotated = torch.arange(len(logits))[None] < int(sum(figures.get("gt_flag", [1] * len(given))))
    output = AVSegFormerOutput(logits[None], feature.mean(1, keepdim=True)[None])
    batch: Any = OneClip([DenseTarget(labels[0], annotated[0])], torch.ones_like(annotated))
    for kind, told in figures["losses"].items():
        model.config = replace(model.config, binary_loss="bce" if kind == "bce" else "dice")
        model.zero_grad()
        terms = model.losses(output, batch)
        assert float(terms["segmentation"]) == pytest.approx(told["iou_loss"], rel=2e-5)
        assert float(terms["mix"]) == pytest.approx(0.1 * told["mix_loss_unweighted"], rel=2e-5)
        if kind == "bce":
            continue
        torch.stack(list(terms.values())).sum().backward(retain_graph=True)
        for name, parts in PARTS.items():
            assert norm_of(model, parts) == pytest.approx(told["grad_l2"][name], rel=2e-3), name


def norm_of(model: AVSegFormer, parts: str | tuple[str, ...]) -> float:
    """Of the gradients of all parameters below some parts."""
    prefixes = (parts,) if isinstance(parts, str) else parts
    gradients = [
        parameter.grad.double()
        for name, parameter in model.network.named_parameters()
        if parameter.grad is not None and any(name == part or name.startswith(f"{part}.") for part in prefixes)
    ]
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))


@dataclass
class OneClip:
    """What `losses` looks at of a batch."""

    targets: list[DenseTarget]
    valid: Tensor

    def __len__(self) -> int:
        return 1

    @property
    def judged(self) -> Tensor:
        return self.targets[0].annotated[None] & self.valid


MEASURED = {
    "backbone": (45_571_136 - 22_063_104, 81_443_008),
    "audio_projection": (33_024,) * 2,
    "projections": (986_112, 265_216),
    "encoder.level": (768,) * 2,
    "table": (76_800,) * 2,
    "generator": (6_385_152,) * 2,
    "encoder.layers": (7_545_024,) * 2,
    "decoder": (9_472_512,) * 2,
    "lateral": (66_304,) * 2,
    "smooth": (590_592,) * 2,
    "mixer": (262_400,) * 2,
    "head": (5_337_344 + 331_968,) * 2,
}


@pytest.mark.parametrize("backbone", ["resnet50", "pvt_v2_b5"])
def test_parameters_by_part(backbone: str) -> None:
    from avseg.models import create_model

    with torch.device("meta"):
        model = create_model("avsegformer", "s4", backbone=backbone)
        semantic = create_model("avsegformer", "avss", backbone=backbone)
    for part, counts in MEASURED.items():
        found = [p.numel() for n, p in model.network.named_parameters() if n == part or n.startswith(f"{part}.")]
        assert sum(found) == counts[backbone == "pvt_v2_b5"], part
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == sum(p.numel() for p in model.network.parameters())
    assert trained == {"resnet50": 54_596_032, "pvt_v2_b5": 111_810_112}[backbone]
    assert sum(p.numel() for p in model.audio_network.parameters()) == 72_141_184
    assert sum(p.numel() for p in semantic.network.parameters()) - trained == 334_208 - 331_968
