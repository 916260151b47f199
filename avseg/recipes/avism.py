"""AVISM as published (Guo et al., CVPR 2025) on AVISeg: ResNet-50 and Swin-L, begun from ImageNet or from COCO.

Every setting: two clips of five frames a step, 48,000 steps of AdamW at 1e-4 with weight decay 0.05, a tenth of that
rate from step 32,000 on, and for the backbone throughout; norms, embeddings and tables of relative position do not
decay; gradients of norm 0.01 at most.

The published checkpoints are repeated with what their code does and their paper does not say: the similarity term
counts 1.0 (configured as 0.5), what is silent in the first frame of a clip has the class "no object", and frames are
drawn with replacement. For new work take `similarity_weight` 0.5 and neither of the others (docs/reference/recipes.md).
"""

from __future__ import annotations

from avseg.datasets import data_config
from avseg.engine.config import GroupConfig, InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.losses.config import SetConfig
from avseg.models.avism.presets import PRESETS

STEPS, FALL = 48_000, 32_000


def _published(preset: str, init: str) -> Recipe:
    criterion = SetConfig(similarity_weight=1.0, silent_first_is_no_object=True)
    return Recipe(
        model=PRESETS[preset](criterion=criterion),
        data=data_config(
            "aviseg",
            audio="features",
            augment=("some_frames", "moving_crop", "shorter_side", "flip"),
            compat=("replacement",),
        ),
        optim=OptimConfig(
            algorithm="adamw",
            lr=1e-4,
            weight_decay=0.05,
            decay="layers",
            schedule="steps",
            milestones=(FALL,),
            clip_norm=0.01,
            parts={"backbone": GroupConfig(lr=1e-5)},
        ),
        # An epoch of 616 videos is 308 steps; the last one, the 156th, is validated with every 16th before it.
        train=TrainConfig(
            steps=STEPS,
            batch_size=2,
            workers=8,
            log_every=20,
            eval_from=11,
            eval_every=16,
            save_every=1000,
            protocol="aviseg",
        ),
        init=InitConfig(needs=(init,)),
    )


def avism_r50() -> Recipe:
    """AVISM on AVISeg, ResNet-50 of ImageNet: shorter side 360, 48,000 steps of two clips."""
    return _published("r50", "backbone")


def avism_r50_coco() -> Recipe:
    """AVISM on AVISeg, ResNet-50, begun from a detector of COCO (--init.detector): otherwise as `avism_r50`."""
    return _published("r50", "detector")


def avism_swinl() -> Recipe:
    """AVISM on AVISeg, Swin-L of ImageNet-22k: shorter side 448, 200 queries a frame, 48,000 steps of two clips."""
    return _published("swinl", "backbone")


def avism_swinl_coco() -> Recipe:
    """AVISM on AVISeg, Swin-L, begun from a detector of COCO (--init.detector): otherwise as `avism_swinl`."""
    return _published("swinl", "detector")
