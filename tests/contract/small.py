"""A small configuration of every family, so that the contract runs in seconds."""

from __future__ import annotations

from avseg.config import InputSpec, ModelConfig


def small_config(family: str) -> ModelConfig:
    """The family's own config with a tiny backbone. A new family adds its line here."""
    from avseg.models.tpavi.config import TPAVIConfig

    configs = {
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
