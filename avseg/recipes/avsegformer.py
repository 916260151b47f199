"""AVSegFormer as published (Gao et al. 2024): S4, MS3 and AVSS at 224 and 512, each with ResNet-50 and PVT-v2-b5.

Every published setting: AdamW at a constant 2e-5 with weight decay 0.01 on everything, one process, seed 123, eight
workers. The newest published code sizes S4 and MS3 to 512 and takes two clips a step; before, they were 224 and four.
"""

from __future__ import annotations

from avseg.datasets import data_config
from avseg.engine.config import InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.models.avsegformer.presets import PRESETS, Variant

RESNET, PVT = "resnet50", "pvt_v2_b5"


def _published(variant: Variant, backbone: str) -> Recipe:
    name = variant.removesuffix("_512")
    return Recipe(
        model=PRESETS[variant](backbone=backbone),
        data=data_config(name),
        optim=OptimConfig(algorithm="adamw", lr=2e-5, weight_decay=0.01),
        train=_semantic_train() if name == "avss" else _object_train(variant),
        init=InitConfig(needs=("backbone", "vggish")),
    )


def _object_train(variant: Variant) -> TrainConfig:
    clips = 2 if variant.endswith("_512") else 4
    return TrainConfig(
        epochs=30 if variant.startswith("s4") else 60,
        batch_size=clips,
        eval_batch_size=clips,
        seed=123,
        workers=8,
        log_every=50 if variant.startswith("s4") else 20,
        protocol="avsegformer_512" if clips == 2 else "avsegformer_224",
    )


def _semantic_train() -> TrainConfig:
    """Even epochs from 10 on are validated; one file is kept by mIoU, one by the sum of mIoU and F."""
    return TrainConfig(
        epochs=30,
        batch_size=4,
        eval_batch_size=4,
        seed=123,
        workers=8,
        log_every=20,
        eval_from=10,
        eval_every=2,
        also_best=("mIoU", "F"),
    )


def avsegformer_s4_r50() -> Recipe:
    """AVSegFormer on single sources (S4), ResNet-50 at 224: 30 epochs, the backbone frozen for 5."""
    return _published("s4", RESNET)


def avsegformer_s4_pvt() -> Recipe:
    """AVSegFormer on single sources (S4), PVT-v2-b5 at 224: 30 epochs, the backbone frozen for 5."""
    return _published("s4", PVT)


def avsegformer_ms3_r50() -> Recipe:
    """AVSegFormer on multiple sources (MS3), ResNet-50 at 224: 60 epochs, the backbone frozen for 10."""
    return _published("ms3", RESNET)


def avsegformer_ms3_pvt() -> Recipe:
    """AVSegFormer on multiple sources (MS3), PVT-v2-b5 at 224: 60 epochs, the backbone frozen for 10."""
    return _published("ms3", PVT)


def avsegformer_avss_r50() -> Recipe:
    """AVSegFormer on semantic segmentation (AVSS), ResNet-50 at 224: 30 epochs."""
    return _published("avss", RESNET)


def avsegformer_avss_pvt() -> Recipe:
    """AVSegFormer on semantic segmentation (AVSS), PVT-v2-b5 at 224: 30 epochs."""
    return _published("avss", PVT)


def avsegformer_s4_512_r50() -> Recipe:
    """AVSegFormer* on single sources (S4), ResNet-50 at 512, as the newest published code trains it."""
    return _published("s4_512", RESNET)


def avsegformer_s4_512_pvt() -> Recipe:
    """AVSegFormer* on single sources (S4), PVT-v2-b5 at 512, as the newest published code trains it."""
    return _published("s4_512", PVT)


def avsegformer_ms3_512_r50() -> Recipe:
    """AVSegFormer* on multiple sources (MS3), ResNet-50 at 512, as the newest published code trains it."""
    return _published("ms3_512", RESNET)


def avsegformer_ms3_512_pvt() -> Recipe:
    """AVSegFormer* on multiple sources (MS3), PVT-v2-b5 at 512, as the newest published code trains it."""
    return _published("ms3_512", PVT)


def avsegformer_avss_512_r50() -> Recipe:
    """AVSegFormer* on AVSS, ResNet-50 at 512: only the size of its training is published."""
    return _published("avss_512", RESNET)


def avsegformer_avss_512_pvt() -> Recipe:
    """AVSegFormer* on AVSS, PVT-v2-b5 at 512: only the size of its training is published."""
    return _published("avss_512", PVT)
