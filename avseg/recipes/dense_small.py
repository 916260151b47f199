"""Small models of dense families trained from scratch on the synthetic world, at one budget
(docs/results/experiments.md).

`benchmarks/dense_families.py` trains them beside each other and judges them.
"""

from __future__ import annotations

from typing import Any

from avseg.config import AudioWindow, InputSpec, ModelConfig, Temporal
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.tpavi.config import TPAVIConfig

SIZE = 64
"""Height and width of the pictures in pixels."""
WORLD = 5
"""Seed of the world that is learnt."""

COMMON: dict[str, Any] = {
    "input": InputSpec((SIZE, SIZE), rule="shorter_side", multiple_of=32),
    # Each frame hears the second that begins with it.
    "audio": AudioWindow(anchor="frame", missing="silence"),
    "temporal": Temporal("frame", 1, shown_after=0.9375),
    "backbone": "test_byobnet",
    "audio_network": "small",
    "audio_width": 96,
    "foreground_weight": 4.0,
    "sounding_weight": 0.5,
}


def small_recipe(model: ModelConfig) -> Recipe:
    """The world, optimiser and length that small dense models share."""
    return Recipe(
        model=model,
        data=data_config(
            "synth",
            kind="semantic",
            clips=1000,
            held_out_clips=60,
            frames=5,
            size=SIZE,
            seed=WORLD,
            augment=("window", "flip", "mute"),
            clip_frames=2,
            keep=True,
        ),
        optim=OptimConfig(
            algorithm="adamw", lr=2e-3, weight_decay=0.02, schedule="cosine", warmup_steps=100, clip_norm=5.0
        ),
        train=TrainConfig(
            steps=2000,
            batch_size=16,
            drop_last=True,
            seed=0,
            workers=0,
            ema=0.998,
            eval_from=10,
            eval_every=10,
            eval_batch_size=8,
            save_every=500,
            protocol="repaired",
        ),
    )


def tpavi_small() -> Recipe:
    """Small TPAVI from scratch on the synthetic world at 64 x 64; each frame uses the sound of its second; needs no
    data.
    """
    return small_recipe(TPAVIConfig(**COMMON, width=32, inner=32, dilations=(1,), head_widths=(16, 16), group=1))


def avsegformer_small() -> Recipe:
    """Small AVSegFormer from scratch on the synthetic world at 64 x 64; needs no data."""
    return small_recipe(
        AVSegFormerConfig(
            **COMMON,
            width=64,
            heads=4,
            queries=32,
            generator_layers=2,
            generator_inner=128,
            encoder_layers=1,
            decoder_layers=2,
            inner=128,
            dropout=0.0,
            mlp_width=128,
            head_widths=(32, 16),
        )
    )
