"""A small configuration of every family, so that the contract runs in seconds."""

from __future__ import annotations

from avseg.config import InputSpec, ModelConfig
from avseg.losses.config import ContrastConfig, SetConfig


def small_config(family: str) -> ModelConfig:
    """The family's own config with a tiny backbone. A new family adds its line here."""
    from avseg.models.avism.config import AVISMConfig
    from avseg.models.cavp.config import CAVPConfig
    from avseg.models.qdformer.config import CodebookConfig, LocalConfig, QDFormerConfig
    from avseg.models.tpavi.config import TPAVIConfig

    configs: dict[str, ModelConfig] = {
        "avism": AVISMConfig(
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
            object_layers=2,
            audio_network="small",
            audio_width=16,
            criterion=SetConfig(points=64),
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
            audio_network="small",
            audio_width=16,
        ),
        "tpavi": TPAVIConfig(
            input=InputSpec(size=(64, 64)),
            backbone="test_resnet",
            width=16,
            inner=8,
            audio_network="small",
            audio_width=16,
        ),
    }
    return configs[family]
