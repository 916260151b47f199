"""TPAVI as published (Zhou et al. 2022 and 2023): S4, MS3 and AVSS, each with ResNet-50 and PVT-v2-b5; and on VPO.

Every published setting: Adam at a constant 1e-4 without weight decay, four clips a step, one process, seed 123, eight
workers.
"""

from __future__ import annotations

from dataclasses import replace

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.datasets import data_config
from avseg.engine.config import InitConfig, Recipe, TrainConfig
from avseg.losses.config import AVMConfig
from avseg.models.tpavi.config import TPAVIConfig
from avseg.models.tpavi.presets import PRESETS, Variant
from avseg.recipes.cavp import VPO_SCALES

RESNET, PVT = "resnet50", "pvt_v2_b5"

TRAIN: dict[Variant, TrainConfig] = {
    "s4": TrainConfig(epochs=15, seed=123, workers=8, log_every=50),
    "ms3": TrainConfig(epochs=30, seed=123, workers=8, log_every=20),
    # Even epochs from 15 on are validated; one file is kept by mIoU, one by the sum of mIoU and F.
    "avss": TrainConfig(
        epochs=60,
        seed=123,
        workers=8,
        log_every=20,
        eval_from=16,
        eval_every=2,
        eval_batch_size=4,
        also_best=("mIoU", "F"),
    ),
}


def _published(variant: Variant, backbone: str) -> Recipe:
    return Recipe(
        model=PRESETS[variant](backbone=backbone),
        data=data_config(variant),
        train=TRAIN[variant],
        init=InitConfig(needs=("backbone", "vggish")),
    )


def _from_s4(recipe: Recipe) -> Recipe:
    return replace(recipe, init=InitConfig(needs=("model",)))


def tpavi_s4_r50() -> Recipe:
    """TPAVI on single sources (S4), ResNet-50: 15 epochs, no matching term."""
    return _published("s4", RESNET)


def tpavi_s4_pvt() -> Recipe:
    """TPAVI on single sources (S4), PVT-v2-b5: 15 epochs, no matching term."""
    return _published("s4", PVT)


def tpavi_ms3_r50() -> Recipe:
    """TPAVI on multiple sources (MS3), ResNet-50: 30 epochs, matching term 0.5."""
    return _published("ms3", RESNET)


def tpavi_ms3_pvt() -> Recipe:
    """TPAVI on multiple sources (MS3), PVT-v2-b5: 30 epochs, matching term 0.5."""
    return _published("ms3", PVT)


def tpavi_ms3_r50_from_s4() -> Recipe:
    """TPAVI on multiple sources (MS3), ResNet-50, begun from an S4 model (--init.model)."""
    return _from_s4(tpavi_ms3_r50())


def tpavi_ms3_pvt_from_s4() -> Recipe:
    """TPAVI on multiple sources (MS3), PVT-v2-b5, begun from an S4 model (--init.model)."""
    return _from_s4(tpavi_ms3_pvt())


def tpavi_avss_r50() -> Recipe:
    """TPAVI on semantic segmentation (AVSS), ResNet-50: 60 epochs, matching term 0.5."""
    return _published("avss", RESNET)


def tpavi_avss_pvt() -> Recipe:
    """TPAVI on semantic segmentation (AVSS), PVT-v2-b5: 60 epochs, matching term 0.5."""
    return _published("avss", PVT)


def _vpo(subset: str) -> Recipe:
    """The network and optimiser of AVSS with the pictures, batch and length of CAVP on VPO.

    How TPAVI was trained for CAVP's table on VPO is not published. One picture is a clip, so attention runs within it,
    and the sound is the VGGish window around the picture's moment. The matching term is that of AVSS, the published
    setting of semantic tasks; it takes every frame by itself.
    """
    return Recipe(
        model=TPAVIConfig(
            input=InputSpec((512, 512), rule="keep", interpolation="bicubic", multiple_of=32),
            audio=AudioWindow(anchor="frame", offset=-0.4875, missing="silence"),
            temporal=Temporal("frame", 1),
            group=1,
            backbone=RESNET,
            align_bias=False,
            avm=AVMConfig(),
        ),
        data=data_config(f"vpo_{subset}", augment=("flip", "scale", "jitter", "crop"), scales=VPO_SCALES),
        train=TrainConfig(
            epochs=80, batch_size=16, drop_last=True, seed=123, workers=8, eval_every=5, eval_always_from=50
        ),
        init=InitConfig(needs=("backbone", "vggish")),
    )


def tpavi_vpo_ss_r50() -> Recipe:
    """TPAVI on VPO-SS (one sounding object), mono, ResNet-50: 80 epochs, matching term 0.5."""
    return _vpo("ss")


def tpavi_vpo_ms_r50() -> Recipe:
    """TPAVI on VPO-MS (several classes), mono, ResNet-50: 80 epochs, matching term 0.5."""
    return _vpo("ms")


def tpavi_vpo_msmi_r50() -> Recipe:
    """TPAVI on VPO-MSMI (several objects of a class), mono, ResNet-50: 80 epochs, matching term 0.5."""
    return _vpo("msmi")
