"""A small AVSegFormer from nothing on the synthetic world: does it learn, and does it listen (docs/experiments.md)?

`benchmarks/dense_families.py` trains this beside others at the same budget, and judges them.
"""

from __future__ import annotations

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.models.avsegformer.config import AVSegFormerConfig

SIZE = 64
"""Height and width of the pictures in pixels."""
WORLD = 5
"""Seed of the world that is learnt."""


def avsegformer_small() -> Recipe:
    """Small AVSegFormer from nothing on the synthetic world at 64 x 64; needs no data."""
    return Recipe(
        model=AVSegFormerConfig(
            input=InputSpec((SIZE, SIZE), rule="shorter_side", multiple_of=32),
            audio=AudioWindow(anchor="frame", missing="silence"),
            temporal=Temporal("frame", 1, shown_after=0.9375),
            backbone="test_byobnet",
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
            audio_network="small",
            audio_width=96,
            foreground_weight=4.0,
            sounding_weight=0.5,
        ),
        data=data_config(
            "synth",
            kind="semantic",
            clips=6000,
            held_out_clips=60,
            frames=2,
            size=SIZE,
            seed=WORLD,
            augment=("flip", "mute"),
        ),
        optim=OptimConfig(
            algorithm="adamw", lr=1.5e-3, weight_decay=0.02, schedule="cosine", warmup_steps=100, clip_norm=5.0
        ),
        train=TrainConfig(
            steps=2000,
            batch_size=16,
            seed=0,
            workers=1,
            ema=0.998,
            eval_from=10,
            eval_batch_size=8,
            save_every=500,
            protocol="repaired",
        ),
    )
