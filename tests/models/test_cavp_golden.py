"""The published network's numbers, through our converter; weights and inputs by formulas
(docs/explanation/golden.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.losses.config import ContrastConfig
from avseg.losses.contrastive import contrastive_loss
from avseg.models.cavp.convert import config_of, find_variant, network_state
from avseg.models.cavp.network import CAVPNetwork
from avseg.models.files import load_strictly
from avseg.nn.empty import WithoutInitialisation
from golden_arrays import arr
from golden_weights import seeded_weights

GOLDEN = Path(__file__).parents[1] / "golden"

SIZE = (224, 224)
PARTS = {
    "backbone": "backbone",
    "segment": "decoder",
    "cross_att": "fusion",
    "visual_projector": "projector",
    "audio_backbone": "audio",
}
"""Our parts by their published names."""


@dataclass
class Published:
    figures: Any
    network: CAVPNetwork
    images: Tensor
    sounds: Tensor
    """(4, 1, 96, 64): the two pictures' own, then two others."""
    labels: Tensor

    @property
    def silenced(self) -> Tensor:
        """What is true beside the other sounds: the first is none of the picture's, the second is."""
        return torch.stack([torch.zeros_like(self.labels[0]), self.labels[1]])


@pytest.fixture(scope="module")
def published() -> Iterator[Published]:
    figures = np.load(GOLDEN / "cavp/avss_r50.npz")
    spec = json.loads(str(np.load(GOLDEN / "cavp/kinds.npz")["cavp_avss_r50"]))
    state = seeded_weights(spec)
    with WithoutInitialisation():
        network = CAVPNetwork(71, config_of(state, find_variant(state)))
    load_strictly(network, network_state(state), "the golden weights")
    made = {name: torch.from_numpy(arr(**recipe)) for name, recipe in json.loads(str(figures["recipes"])).items()}
    made["label"][0, :112], made["label"][1, :112] = 1, 2
    yield Published(figures, network.eval(), made["image"], made["audio"], made["label"])
    figures.close()


def check(figures: Any, name: str, tensor: Tensor, tolerance: float = 1e-4) -> None:
    """Every value that is kept, and figures of the whole tensor; both against the largest value."""
    assert tuple(tensor.shape) == tuple(figures[f"{name}/shape"]), name
    values, whole = tensor.detach(), tensor.detach().double()
    mean, std, low, high, norm, size = figures[f"{name}/stats"].tolist()
    close = pytest.approx
    slack = tolerance * max(1.0, abs(low), abs(high))
    got = [float(x) for x in (whole.mean(), whole.std(correction=0), whole.min(), whole.max(), whole.abs().mean())]
    assert got == close([mean, std, low, high, size], abs=slack), name
    assert float(whole.norm()) == close(norm, rel=10 * tolerance), name
    if f"{name}/head" in figures:
        assert values.flatten()[:8].tolist() == close(figures[f"{name}/head"].tolist(), abs=slack), name
        return
    step, kept = int(figures[f"{name}/stride"]), torch.from_numpy(figures[name])
    if tensor.ndim > 2:
        values = values[..., ::step] if tensor.shape[-2] == 1 else values[..., ::step, ::step]
    assert float((values - kept).abs().max()) < slack, name


def whole(logits: Tensor) -> Tensor:
    return F.interpolate(logits, SIZE, mode="bilinear", align_corners=False)


def test_logits_features_sound_and_attention(published: Published) -> None:
    network, figures, outputs = published.network, published.figures, {}
    stages, decoder = network.backbone.stages, network.decoder
    inner = {f"mid/backbone.backbone.{name}": stages.get_submodule(name) for name in _STAGES}
    inner |= {"mid/segment.aspp": decoder.aspp, "mid/audio_backbone.backbone": network.audio}
    hooks = [module.register_forward_hook(_keep(outputs, name)) for name, module in inner.items()]
    with torch.inference_mode():
        seen = network.see(published.images).features
        logits, embeddings = network(published.images, published.sounds[:2])
        heard = network.hear(published.sounds[:2])
        projected = network.projector(seen.flatten(2).transpose(1, 2))  # (N, P, D)
        attention = network.attend(seen, heard).flatten(2)  # (N, heads, P)
    for hook in hooks:
        hook.remove()
    for name, tensor in outputs.items():
        check(figures, name, tensor)
    check(figures, "mid/segment.reduce", seen[:, 256:])
    check(figures, "mid/visual_projector", projected)
    check(figures, "visual", projected.transpose(1, 2).unflatten(2, seen.shape[-2:]))
    check(figures, "mid/cross_att[0]", embeddings.flatten(2).transpose(1, 2))
    check(figures, "mid/cross_att[2]", attention.unsqueeze(-1))
    check(figures, "attn_v", attention.unsqueeze(2))
    check(figures, "audio", heard)
    check(figures, "fusion", embeddings)
    check(figures, "logits", whole(logits))


_STAGES = ("bn1", "layer1", "layer2", "layer3", "layer4")


def _keep(outputs: dict[str, Tensor], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        # The first batch norm's map is rectified in place afterwards.
        outputs.setdefault(name, output.clone())

    return hook


@pytest.mark.parametrize("training", [False, True])
def test_a_step_with_matched_and_shuffled_sounds(published: Published, training: bool) -> None:
    """`training`: with batch statistics. Draws of pixels are not the published ones: see `check_contrast`."""
    network, prefix = published.network, "train/" if training else ""
    statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.train(training).zero_grad()
    embeddings = network.fuse(network.see(published.images).features, network.hear(published.sounds))
    logits = whole(network.classify(embeddings))
    matched, shuffled = embeddings.chunk(2)
    cross_entropy = F.cross_entropy(logits[:2], published.labels, ignore_index=255)
    labels = (published.labels, published.silenced)
    contrast = contrastive_loss(matched, shuffled, *labels, ContrastConfig(), seeded(0))
    (cross_entropy + contrast).backward()
    matched, shuffled = matched.detach(), shuffled.detach()
    others = [contrastive_loss(matched, shuffled, *labels, ContrastConfig(), seeded(seed)) for seed in range(1, 6)]
    network.load_state_dict(statistics, strict=False)

    figures, tolerance = published.figures, 5e-4 if training else 1e-4
    check(figures, f"{prefix}train_path/logits", logits, tolerance)
    check(figures, f"{prefix}train_path/fusion", embeddings, tolerance)
    assert cross_entropy.item() == pytest.approx(float(figures[f"{prefix}loss/ce"]), abs=1e-4)
    check_contrast(float(figures[f"{prefix}loss/contrast"]), [draw.item() for draw in (contrast, *others)])
    # The contrastive gradient hangs on the pixels drawn; with fixed statistics the cross-entropy's is far larger.
    for name, part in PARTS.items():
        norms = [p.grad.norm() for p in getattr(network, part).parameters() if p.grad is not None]
        expected = float(figures[f"{prefix}grad/{name}"])
        assert float(torch.stack(norms).norm()) == pytest.approx(expected, rel=0.15 if training else 2e-3), name


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def check_contrast(expected: float, draws: list[float]) -> None:
    """A published value is of 512 pixels of each class, drawn among some 1,600: it must lie among other draws."""
    spread = float(np.std(draws, ddof=1))
    assert spread < 0.01 * expected
    assert abs(float(np.mean(draws)) - expected) < 5 * spread


def test_only_kept_logits_are_made_and_they_are_the_same(published: Published) -> None:
    network = published.network.eval()
    embeddings = torch.randn(4, network.width, 9, 11, generator=seeded(0))
    with torch.inference_mode():
        assert torch.allclose(network.classify(embeddings, 3), network.classify(embeddings)[:3], atol=1e-5)
        statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
        network.train()
        kept = network.classify(embeddings, 1)
        assert torch.allclose(kept, network.classify(embeddings)[:1], atol=1e-5)
        alone = network.classify(embeddings[:1])
    network.load_state_dict(statistics, strict=False)
    network.eval()
    assert kept.shape == alone.shape and not torch.allclose(kept, alone, atol=1e-2)
