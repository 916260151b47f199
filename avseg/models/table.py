"""The families for people to read. Imports no torch."""

from __future__ import annotations

from avseg.models import MODELS

VARIANTS = {
    "cavp": (
        "AVSS, S4, MS3, AVSBench-Single+, VPO (mono, stereo)",
        "resnet50_deep, resnet101_deep, hrnet_w48, pvt_v2_b5, any four-stage timm backbone",
        "Chen et al., CVPR 2024",
    ),
    "tpavi": (
        "S4, MS3, AVSS",
        "resnet50, pvt_v2_b5, any four-stage timm backbone",
        "Zhou et al., ECCV 2022; IJCV 2024",
    ),
}


def describe() -> list[dict[str, str]]:
    """One row a family: name, published settings, backbones, paper."""
    columns = ("settings", "backbones", "paper")
    return [{"family": family, **dict(zip(columns, VARIANTS[family], strict=True))} for family in MODELS]
