"""The published loss values (golden_losses_metrics.json), for inputs given by formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.losses import AVMConfig, avm_loss, binary_loss, semantic_loss
from golden_recipe import sequence


@dataclass
class Case:
    logits: Tensor
    labels: Tensor
    annotated: Tensor
    maps: list[Tensor]
    audio: list[Tensor]

    def avm(self, **options: Any) -> Tensor:
        frames = self.annotated if self.logits.shape[2] > 1 else torch.ones_like(self.annotated)
        return avm_loss(self.logits, self.maps, self.audio, frames, AVMConfig(weight=1.0, **options))


@pytest.fixture(scope="module")
def features() -> tuple[list[Tensor], list[Tensor]]:
    maps = [sequence((10, 256, s, s), 0.013 * (i + 1), 1, i).relu() for i, s in enumerate((56, 28, 14, 7))]
    return maps, [sequence((2, 5, 256), 0.21 * (i + 1), 1, 0.5 * i) for i in range(4)]


@pytest.fixture(scope="module")
def binary(features: Any) -> Case:
    logits = sequence((10, 1, 224, 224), 0.0031, 3).unflatten(0, (2, 5))
    labels = (sequence((10, 1, 224, 224), 0.0017, 1, 0.4) > 0).long()[:, 0].unflatten(0, (2, 5))
    return Case(logits, labels, torch.ones(2, 5, dtype=torch.bool), *features)


@pytest.fixture(scope="module")
def semantic(features: Any) -> Case:
    logits = sequence((10, 71, 224, 224), 0.0019, 2).unflatten(0, (1, 10))
    logits[:, :, 0] += 1
    labels = (torch.arange(10 * 224 * 224) // 977 % 71).reshape(1, 10, 224, 224)
    return Case(logits, labels, torch.arange(10)[None] < 5, *features)


@pytest.mark.parametrize("space", ["logit", "probability"])
def test_binary_cross_entropy_of_s4_and_ms3(binary: Case, golden: Any, space: Any) -> None:
    wanted = golden("tpavi/golden_losses_metrics.json")
    first = torch.zeros_like(binary.annotated)
    first[:, 0] = True
    s4 = binary_loss(binary.logits, binary.labels, first, space)
    ms3 = binary_loss(binary.logits, binary.labels, binary.annotated, space)
    assert float(s4) == pytest.approx(wanted["s4_bce_first_frame"], rel=2e-6)
    assert float(ms3) == pytest.approx(wanted["ms3_bce_all_frames"], rel=2e-6)
    assert s4.dtype == torch.float32


BINARY = {
    "s4_avm_cos_avg": {"variant": "cosine", "pool": "avg"},
    "s4_avm_cos_max": {"variant": "cosine", "pool": "max"},
    "ms3_av_kl_norm0_thr0": {},
    "ms3_av_kl_norm0_thr1": {"threshold": True},
    "ms3_av_kl_norm1_thr0": {"normalise": True},
    "ms3_av_kl_norm1_thr1": {"normalise": True, "threshold": True},
    "ms3_vv_kl_norm0": {"variant": "vv"},
    "ms3_vv_kl_norm1": {"variant": "vv", "normalise": True},
    "ms3_av_euclid_norm0": {"distance": "euclid"},
    "ms3_vv_euclid_norm0": {"variant": "vv", "distance": "euclid"},
}


@pytest.mark.parametrize("name", BINARY)
def test_matching_term_of_binary_masks(binary: Case, golden: Any, name: str) -> None:
    wanted = golden("tpavi/golden_losses_metrics.json")[name]
    # Absolute: a KL near zero is a sum of 2,560 terms that cancel, and float32 leaves that much of it open.
    assert float(binary.avm(**BINARY[name])) == pytest.approx(wanted, rel=1e-5, abs=2e-6)


SEMANTIC = {
    "avss_av_kl": {},
    "avss_vv_kl_upstream_uses_audio_target": {"variant": "vv", "neighbour_target": "audio"},
}


@pytest.mark.parametrize("name", SEMANTIC)
def test_matching_term_of_semantic_masks(semantic: Case, golden: Any, name: str) -> None:
    wanted = golden("tpavi/golden_losses_metrics.json")[name]
    assert float(semantic.avm(**SEMANTIC[name])) == pytest.approx(wanted, rel=1e-5)


def test_semantic_cross_entropy_and_the_totals(binary: Case, semantic: Case, golden: Any) -> None:
    wanted = golden("tpavi/golden_losses_metrics.json")
    cross_entropy = semantic_loss(semantic.logits, semantic.labels, semantic.annotated)
    assert float(cross_entropy) == pytest.approx(wanted["avss_ce"], rel=2e-6)
    assert float(cross_entropy + 0.5 * semantic.avm()) == pytest.approx(wanted["avss_total_default"], rel=2e-6)
    ms3 = binary_loss(binary.logits, binary.labels, binary.annotated)
    ms3 += avm_loss(binary.logits, binary.maps, binary.audio, binary.annotated, AVMConfig())
    assert float(ms3) == pytest.approx(wanted["ms3_total_default"], rel=2e-6)
