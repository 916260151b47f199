"""Small CAVP models trained from scratch on synthetic VPO: does stereo matter, does the contrastive term?

`benchmarks/stereo.py` and `benchmarks/contrast_matters.py` make the data, train these and judge them. The twins of a
pair differ in what their names say and in nothing else.
"""

from __future__ import annotations

from avseg.config import InputSpec
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.losses.config import ContrastConfig
from avseg.models.cavp.config import CAVPConfig


def small(
    name: str,
    *,
    stereo: bool = False,
    coordinates: bool = False,
    contrast: bool = False,
    size: int = 64,
    seed: int = 0,
) -> Recipe:
    """A recipe of these experiments.

    Args:
        name: the data set, such as vpo_msmi.
        stereo: hear left and right.
        coordinates: tell the fusion where a pixel lies (not published).
        contrast: train with the contrastive term too.
        size: height and width of the pictures in pixels.
        seed: of weights, order and augmentation.
    """
    return Recipe(
        model=CAVPConfig(
            input=InputSpec((size, size), rule="stretch"),
            backbone="test_byobnet",
            aspp_width=32,
            detail_width=16,
            head_width=32,
            audio_network="small",
            audio_channels=2 if stereo else 1,
            mel_frames=300,
            coordinates=coordinates,
            foreground_weight=4.0,
            # A class seldom has 512 pixels on a quarter of so small a picture.
            contrast=ContrastConfig(views=64) if contrast else None,
        ),
        data=data_config(name, stereo=stereo, augment=("flip", "size"), labels_at="input"),
        optim=OptimConfig(
            algorithm="adamw", lr=3e-3, weight_decay=0.02, schedule="cosine", warmup_steps=50, clip_norm=5.0
        ),
        train=TrainConfig(
            epochs=10,
            batch_size=16,
            drop_last=True,
            seed=seed,
            workers=1,
            eval_every=5,
            eval_from=4,
            eval_batch_size=16,
            protocol="repaired",
        ),
    )


def cavp_stereo_small() -> Recipe:
    """Small CAVP on synthetic VPO-MSMI that hears left and right; fusion as published.

    Without the contrastive term in all four: its pairs are matched by class, so that it takes the same class on the
    other side for a match.
    """
    return small("vpo_msmi", stereo=True)


def cavp_stereo_small_coordinates() -> Recipe:
    """Small CAVP on synthetic VPO-MSMI that hears left and right and knows where a pixel lies (not published)."""
    return small("vpo_msmi", stereo=True, coordinates=True)


def cavp_mono_small() -> Recipe:
    """Small CAVP on synthetic VPO-MSMI that hears the sum of both channels: the twin of `cavp_stereo_small`."""
    return small("vpo_msmi")


def cavp_mono_small_coordinates() -> Recipe:
    """Small CAVP on synthetic VPO-MSMI that hears one channel and knows where a pixel lies (not published)."""
    return small("vpo_msmi", coordinates=True)


def cavp_contrast_small() -> Recipe:
    """Small CAVP on synthetic VPO-MS with the contrastive term."""
    return small("vpo_ms", contrast=True)


def cavp_no_contrast_small() -> Recipe:
    """Small CAVP on synthetic VPO-MS by cross-entropy alone: the twin of `cavp_contrast_small`."""
    return small("vpo_ms")
