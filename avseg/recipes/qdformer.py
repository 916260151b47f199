"""QDFormer (Li et al., CVPR 2024) on AVSBench: S4, MS3, both together and AVSS, each with three backbones.

Of its training no more than two commands are published. Rates, decay, clipping, augmentation and where the rate falls
are those of its public ancestor R2VOS; lengths in steps, and which data `avs_1s7m` is, are ours
(docs/reference/recipes.md).
"""

from __future__ import annotations

from typing import Literal

from avseg.data.config import DataConfig
from avseg.datasets import data_config
from avseg.engine.config import GroupConfig, InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.models.qdformer.presets import PRESETS

RESNET, SWIN, VIDEO_SWIN = "resnet50", "swin_tiny_patch4_window7_224", "video_swin_tiny"
DROPS = (8 / 12, 10 / 12)
"""Shares of the training after which the rate falls to a tenth: epochs 8 and 10 of twelve."""

Setting = Literal["avs_1s7m", "s4", "ms3", "avss"]

LENGTHS: dict[Setting, tuple[int, int]] = {
    "avs_1s7m": (60_000, 3),
    "s4": (60_000, 5),
    "ms3": (20_000, 13),
    "avss": (60_000, 3),
}
"""Steps, and epochs from one validation to the next: twelve epochs of a small data set would be a few hundred steps."""


def _recipe(setting: Setting, backbone: str) -> Recipe:
    return Recipe(
        model=PRESETS[setting.removeprefix("avs_")](backbone=backbone),
        data=_data(setting),
        optim=_optim(LENGTHS[setting][0]),
        train=_train(setting),
        init=InitConfig(needs=("backbone", "vggish")),
    )


def _data(setting: Setting) -> DataConfig:
    # Pictures of AVSS have sizes of their own and are stretched, in training as in evaluation.
    sizing: tuple[Literal["size"], ...] = ("size",) if setting == "avss" else ()
    return data_config(setting, augment=(*sizing, "flip", "photometric"))


def _optim(steps: int) -> OptimConfig:
    return OptimConfig(
        algorithm="adamw",
        lr=1e-4,
        weight_decay=5e-4,
        schedule="steps",
        milestones=tuple(round(share * steps) for share in DROPS),
        clip_norm=0.1,
        parts={"backbone": GroupConfig(lr=5e-5)},
    )


def _train(setting: Setting) -> TrainConfig:
    steps, eval_every = LENGTHS[setting]
    return TrainConfig(
        steps=steps,
        # One process with eight clips is eight processes with one clip each: losses are divided by what all have.
        batch_size=8,
        workers=8,
        log_every=50,
        eval_from=eval_every - 1,
        eval_every=eval_every,
        eval_batch_size=4,
        save_every=1000,
        also_best=("mIoU", "F") if setting == "avss" else (),
    )


def qdformer_1s7m_r50() -> Recipe:
    """QDFormer on S4 and seven times MS3 (avs_1s7m), ResNet-50: the first published command."""
    return _recipe("avs_1s7m", RESNET)


def qdformer_1s7m_swin_t() -> Recipe:
    """QDFormer on S4 and seven times MS3 (avs_1s7m), Swin-T."""
    return _recipe("avs_1s7m", SWIN)


def qdformer_1s7m_video_swin_t() -> Recipe:
    """QDFormer on S4 and seven times MS3 (avs_1s7m), Video-Swin-T."""
    return _recipe("avs_1s7m", VIDEO_SWIN)


def qdformer_s4_r50() -> Recipe:
    """QDFormer on single sources (S4), ResNet-50."""
    return _recipe("s4", RESNET)


def qdformer_s4_swin_t() -> Recipe:
    """QDFormer on single sources (S4), Swin-T."""
    return _recipe("s4", SWIN)


def qdformer_s4_video_swin_t() -> Recipe:
    """QDFormer on single sources (S4), Video-Swin-T."""
    return _recipe("s4", VIDEO_SWIN)


def qdformer_ms3_r50() -> Recipe:
    """QDFormer on multiple sources (MS3), ResNet-50."""
    return _recipe("ms3", RESNET)


def qdformer_ms3_swin_t() -> Recipe:
    """QDFormer on multiple sources (MS3), Swin-T."""
    return _recipe("ms3", SWIN)


def qdformer_ms3_video_swin_t() -> Recipe:
    """QDFormer on multiple sources (MS3), Video-Swin-T."""
    return _recipe("ms3", VIDEO_SWIN)


def qdformer_avss_r50() -> Recipe:
    """QDFormer on semantic segmentation (AVSS), ResNet-50, ten frames: the second published command."""
    return _recipe("avss", RESNET)


def qdformer_avss_swin_t() -> Recipe:
    """QDFormer on semantic segmentation (AVSS), Swin-T, ten frames."""
    return _recipe("avss", SWIN)


def qdformer_avss_video_swin_t() -> Recipe:
    """QDFormer on semantic segmentation (AVSS), Video-Swin-T, ten frames."""
    return _recipe("avss", VIDEO_SWIN)
