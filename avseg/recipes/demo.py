"""The small model of the demo, trained from scratch on the synthetic world (docs/get-started/demo.md)."""

from __future__ import annotations

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.models.tpavi.config import TPAVIConfig

SEED = 2022
"""Seed of the training world; the demo uses another one."""


def demo() -> Recipe:
    """The demo's model, from scratch on the synthetic world in half an hour on two CPU cores; needs no data."""
    return Recipe(
        # Published attention mixes the sounds of five frames; with one frame a group each hears its own second.
        model=TPAVIConfig(
            input=InputSpec((96, 96), rule="shorter_side", multiple_of=32),
            audio=AudioWindow(anchor="frame", missing="silence"),
            temporal=Temporal("frame", 1, shown_after=0.9375),
            backbone="test_byobnet",
            width=32,
            inner=32,
            dilations=(1,),
            head_widths=(16, 16),
            group=1,
            audio_network="small",
            audio_width=96,
            foreground_weight=4.0,
            sounding_weight=0.5,
        ),
        data=data_config(
            "synth",
            kind="semantic",
            clips=24_000,
            held_out_clips=40,
            frames=2,
            size=96,
            seed=SEED,
            augment=("flip", "mute"),
        ),
        val=data_config("synth", kind="semantic", held_out_clips=40, seed=SEED),
        optim=OptimConfig(
            algorithm="adamw", lr=3e-3, weight_decay=0.02, schedule="cosine", warmup_steps=100, clip_norm=5.0
        ),
        train=TrainConfig(
            epochs=3,
            batch_size=16,
            seed=SEED,
            workers=1,
            ema=0.998,
            eval_batch_size=8,
            save_every=250,
            protocol="repaired",
        ),
    )
