"""A small configuration of every family, and models of it; a test names by keyword what it needs otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from avseg.config import InputSpec, ModelConfig
from avseg.losses.config import ContrastConfig, SetConfig
from avseg.models import FAMILIES, build_model
from avseg.models.avism.config import AVISMConfig
from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.catr.config import CATRConfig
from avseg.models.cavp.config import CAVPConfig
from avseg.models.qdformer.config import CodebookConfig, LocalConfig, QDFormerConfig
from avseg.models.tpavi.config import TPAVIConfig
from avseg.models.zeroshot.config import ZeroShotConfig
from avseg.types import Task
from zeroshot_parts import STUBS

HEARS: dict[str, Any] = {"audio_network": "small", "audio_width": 16}
DEAF: dict[str, Any] = {"audio_network": "none", "audio_width": 8}
"""For clips that bring vectors of sound, eight numbers a frame."""

CONFIGS: dict[str, ModelConfig] = {
    "avism": AVISMConfig(
        **HEARS,
        input=InputSpec(size=(64, 64), rule="shorter_side"),
        backbone="test_resnet",
        width=32,
        heads=2,
        feedforward=32,
        pixel_feedforward=32,
        pixel_layers=1,
        frame_queries=6,
        frame_layers=3,
        clip_queries=5,
        clip_layers=2,
        object_layers=2,
        window=2,
        trained_layers=2,
        criterion=SetConfig(points=64),
    ),
    "avsegformer": AVSegFormerConfig(
        **HEARS,
        input=InputSpec(size=(64, 64), multiple_of=32),
        backbone="test_resnet",
        width=32,
        heads=2,
        queries=6,
        generator_layers=2,
        generator_inner=32,
        encoder_layers=1,
        points=2,
        decoder_layers=2,
        inner=32,
        mlp_width=32,
        head_widths=(16, 8),
    ),
    "catr": CATRConfig(
        **HEARS,
        input=InputSpec(size=(32, 32)),
        backbone="test_resnet",
        width=16,
        heads=2,
        queries=4,
        encoder_layers=1,
        decoder_layers=2,
        inner=32,
        temporal_inner=32,
        mask_width=8,
    ),
    "cavp": CAVPConfig(
        backbone="test_resnet",
        aspp_width=12,
        detail_width=4,
        head_width=16,
        audio_network="small",
        contrast=ContrastConfig(views=32, slots=2),
    ),
    "qdformer": QDFormerConfig(
        **HEARS,
        input=InputSpec(size=(64, 64)),
        backbone="test_resnet",
        width=32,
        heads=2,
        feedforward=32,
        tokens=3,
        decomposition_layers=1,
        codebook=CodebookConfig(codes=16),
        local=LocalConfig(layers=1),
        encoder_layers=1,
        points=2,
        decoder_layers=2,
    ),
    "tpavi": TPAVIConfig(
        **HEARS,
        input=InputSpec(size=(64, 64), multiple_of=32),
        backbone="test_resnet",
        width=16,
        inner=8,
        head_widths=(16, 8),
    ),
    "zeroshot": ZeroShotConfig(**STUBS),
}
"""By family. A new one adds its own here."""


def small_config(family: str, **changes: Any) -> Any:
    """The family's configuration with a tiny backbone; the default one of a family of another package."""
    return replace(CONFIGS.get(family) or FAMILIES[family].config(), **changes)


def small(family: str, task: Task, **changes: Any) -> Any:
    """A model of it with seeded weights, in evaluation mode."""
    torch.manual_seed(0)
    return build_model(small_config(family, **changes), task).eval()
