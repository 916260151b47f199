"""The families for people to read. Imports no torch."""

from __future__ import annotations

from avseg.models import MODELS

VARIANTS = {
    "avism": (
        "AVISeg (instances, tracked)",
        "resnet50, swin_large_patch4_window12_384, any four-stage timm backbone",
        "Guo et al., CVPR 2025",
    ),
    "cavp": (
        "AVSS, S4, MS3, AVSBench-Single+, VPO (mono, stereo)",
        "resnet50_deep, resnet101_deep, hrnet_w48, pvt_v2_b5, any four-stage timm backbone",
        "Chen et al., CVPR 2024",
    ),
    "qdformer": (
        "S4 and MS3, together or alone, AVSS",
        "resnet50, swin_tiny_patch4_window7_224, video_swin_tiny, any four-stage timm backbone",
        "Li et al., CVPR 2024",
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
