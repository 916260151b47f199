"""A small AVISM trained from scratch on long synthetic videos: does it use the sound (docs/results/experiments.md)?

`benchmarks/avism_learns.py` makes the data, trains this and a twin that hears nothing, and judges them.
"""

from __future__ import annotations

from avseg.config import AudioWindow, InputSpec
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.losses.config import SetConfig
from avseg.models.avism.config import AVISMConfig

SIZE = 64
"""Height and width of the pictures in pixels."""


def avism_small() -> Recipe:
    """Small AVISM from scratch on synthetic AVISeg at 64 x 64; masks use the sound of their second.

    `heard_masks` is not published: without it no track can fall silent here, since nothing to be seen tells it.
    """
    return _small(heard_masks=True)


def avism_small_deaf_masks() -> Recipe:
    """Small AVISM as `avism_small`, with the published masks, which look at the picture alone."""
    return _small(heard_masks=False)


def _small(heard_masks: bool) -> Recipe:
    return Recipe(
        model=AVISMConfig(
            input=InputSpec((SIZE, SIZE), rule="shorter_side"),
            audio=AudioWindow(anchor="frame", missing="silence"),
            backbone="test_byobnet",
            freeze_norms=False,
            width=64,
            feedforward=256,
            pixel_feedforward=256,
            pixel_layers=1,
            frame_queries=12,
            frame_layers=3,
            clip_queries=12,
            object_layers=2,
            audio_network="small",
            trained_layers=1,
            # Masks have 16 x 16 logits. Two or three of twelve queries have an object, so the others need not weigh
            # less; and classes come late where masks, of which each prediction has many, weigh more.
            criterion=SetConfig(points=128, class_weight=5.0, no_object_weight=1.0, similarity_weight=0.1),
            heard_masks=heard_masks,
            sounding_weight=2.0,
        ),
        data=data_config("aviseg", augment=("some_frames", "flip"), clip_frames=4),
        optim=OptimConfig(
            algorithm="adamw",
            lr=1e-3,
            weight_decay=0.02,
            decay="layers",
            schedule="cosine",
            warmup_steps=100,
            clip_norm=1.0,
        ),
        train=TrainConfig(
            steps=6000,
            batch_size=6,
            drop_last=True,
            seed=0,
            workers=1,
            ema=0.998,
            eval_from=19,
            eval_every=20,
            save_every=500,
            protocol="aviseg",
        ),
    )
