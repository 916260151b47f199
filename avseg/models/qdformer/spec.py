"""QDFormer's record. Imports no torch."""

from __future__ import annotations

from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.qdformer.presets import PRESETS
from avseg.models.spec import FamilySpec

SPEC = FamilySpec(
    name="qdformer",
    config=QDFormerConfig,
    model="avseg.models.qdformer.model:QDFormer",
    paper="Li et al., CVPR 2024",
    settings="S4 and MS3, together or alone, AVSS",
    backbones="resnet50, swin_tiny_patch4_window7_224, video_swin_tiny, any four-stage timm backbone",
    presets=PRESETS,
    commands={"codes": "avseg.models.qdformer.inspect.command:codes"},
)
