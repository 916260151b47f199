"""CATR on S4 as published (Li et al. 2023); ResNet-50 and MS3, whose code was not published, are ours.

The published setting: Adam at a constant 1e-5 without weight decay on all of the network, the gradient's norm at most
5, two clips a step, one process, seed 123, no worker. Its best model was chosen on the test split; here it is chosen on
the validation split.
"""

from __future__ import annotations

from avseg.datasets import data_config
from avseg.engine.config import InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.models.catr.presets import PRESETS, Variant

RESNET, PVT = "resnet50", "pvt_v2_b5"


def _recipe(variant: Variant, backbone: str) -> Recipe:
    return Recipe(
        model=PRESETS[variant](backbone=backbone),
        data=data_config(variant, augment=("affine", "flip")),
        optim=OptimConfig(lr=1e-5, clip_norm=5.0),
        train=TrainConfig(epochs=100, batch_size=2, seed=123, workers=8, protocol="catr"),
        init=InitConfig(needs=("backbone", "vggish")),
    )


def catr_s4_pvt() -> Recipe:
    """CATR on single sources (S4), PVT-v2-b5: 100 epochs, as published."""
    return _recipe("s4", PVT)


def catr_s4_r50() -> Recipe:
    """CATR on single sources (S4), ResNet-50: 100 epochs; the backbone is ours."""
    return _recipe("s4", RESNET)


def catr_ms3_pvt() -> Recipe:
    """CATR on multiple sources (MS3), PVT-v2-b5: 100 epochs; all frames supervised is ours."""
    return _recipe("ms3", PVT)


def catr_ms3_r50() -> Recipe:
    """CATR on multiple sources (MS3), ResNet-50: 100 epochs; backbone and supervision are ours."""
    return _recipe("ms3", RESNET)
