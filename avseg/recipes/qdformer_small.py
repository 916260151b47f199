"""A small QDFormer on clips of the synthetic world: is it as the paper says (docs/results/experiments.md)?

`benchmarks/qdformer_works.py` trains this with and without its parts, and judges what comes of it.
"""

from __future__ import annotations

from pathlib import Path

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.datasets import data_config
from avseg.engine.config import GroupConfig, InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.losses.config import QueryConfig
from avseg.models.qdformer.config import AssemblyConfig, CodebookConfig, LocalConfig, QDFormerConfig

SIZE = 64
"""Height and width of the pictures in pixels."""
DEMO = Path(__file__).parents[1] / "demo" / "model.safetensors"
"""The demo's model, whose backbone and audio network these begin with, in place of ImageNet's and AudioSet's."""
WORLD = 5
"""Seed of the world that is learnt."""


def qdformer_small() -> Recipe:
    """Small QDFormer on the synthetic world at 64 x 64, in about nine minutes on one CPU thread; needs no data."""
    return Recipe(
        model=_model(),
        data=data_config(
            "synth",
            kind="semantic",
            clips=1000,
            held_out_clips=60,
            frames=5,
            size=SIZE,
            seed=WORLD,
            augment=("window", "flip"),
            clip_frames=3,
            keep=True,
        ),
        optim=OptimConfig(
            algorithm="adamw",
            lr=1.5e-3,
            weight_decay=0.02,
            decay="layers",
            schedule="cosine",
            warmup_steps=20,
            clip_norm=1.0,
            parts={"backbone": GroupConfig(lr=5e-4), "audio": GroupConfig(lr=2e-4)},
        ),
        train=TrainConfig(
            steps=1600,
            batch_size=6,
            drop_last=True,
            seed=0,
            workers=0,
            ema=0.99,
            eval_from=10,
            eval_batch_size=8,
            save_every=500,
            protocol="repaired",
        ),
        init=InitConfig(model=DEMO.as_posix()),
    )


def _model() -> QDFormerConfig:
    return QDFormerConfig(
        input=InputSpec((SIZE, SIZE), rule="shorter_side"),
        audio=AudioWindow(anchor="frame", missing="silence"),
        temporal=Temporal("block", 5, shown_after=0.9375),
        backbone="test_byobnet",
        freeze_norms=False,
        frozen_stages=0,
        audio_network="small",
        audio_width=96,
        width=64,
        heads=4,
        feedforward=128,
        dropout=0.0,
        tokens=4,
        decomposition_layers=1,
        # Codes begin near zero and tokens at length one: by gradient they would not catch up in so few steps.
        codebook=CodebookConfig(codes=32, update="ema", decay=0.95, restart_after=100),
        local=LocalConfig(layers=1),
        encoder_layers=1,
        decoder_layers=2,
        relative_unit=64.0,
        # Class probabilities stay low in so few steps: with 0.25 most are below a half, and so is all foreground.
        criterion=QueryConfig(alpha=0.5),
        assembly=AssemblyConfig(background=0.3),
        sounding_weight=2.0,
    )
