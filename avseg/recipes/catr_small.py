"""A small CATR from nothing on the synthetic world: does it learn, and does it listen (docs/experiments.md)?

`benchmarks/catr_learns.py` trains and judges it.
"""

from __future__ import annotations

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.models.catr.config import CATRConfig
from avseg.synth.classes import CLASSES

SIZE = 64
"""Height and width of the pictures in pixels."""
WORLD = 5
"""Seed of the world that is learnt."""


def catr_small() -> Recipe:
    """Small CATR from nothing on the synthetic world at 64 x 64; each frame hears its own second; needs no data."""
    return Recipe(
        model=_model(),
        data=data_config(
            "synth",
            kind="binary",
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
            algorithm="adamw", lr=1e-3, weight_decay=0.02, schedule="cosine", warmup_steps=100, clip_norm=5.0
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


def _model() -> CATRConfig:
    return CATRConfig(
        input=InputSpec((SIZE, SIZE), rule="shorter_side", multiple_of=32),
        audio=AudioWindow(anchor="frame", missing="silence"),
        # The sounds of a group are told apart by nothing, so that with several no frame knows its own.
        temporal=Temporal("frame", 1, shown_after=0.9375),
        backbone="test_byobnet",
        dilations=(1,),
        width=64,
        heads=4,
        queries=8,
        encoder_layers=2,
        decoder_layers=2,
        inner=128,
        temporal_inner=128,
        dropout=0.0,
        mask_width=32,
        audio_network="small",
        audio_width=96,
        sounding_weight=0.5,
        sounding_classes=len(CLASSES),
    )
