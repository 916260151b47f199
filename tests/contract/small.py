"""A small configuration of every family, so that the contract runs in seconds."""

from __future__ import annotations

from avseg.config import InputSpec, ModelConfig
from avseg.losses.config import ContrastConfig


def small_config(family: str) -> ModelConfig:
    """The family's own config with a tiny backbone. A new family adds its line here."""
    from avseg.models.cavp.config import CAVPConfig
    from avseg.models.tpavi.config import TPAVIConfig

    configs: dict[str, ModelConfig] = {
        "cavp": CAVPConfig(
            backbone="test_resnet",
            aspp_width=12,
            detail_width=4,
            head_width=16,
            audio_network="small",
            contrast=ContrastConfig(views=32, slots=2),
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
