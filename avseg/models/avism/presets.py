"""AVISM's published settings. Imports no torch."""

from __future__ import annotations

from functools import partial

from avseg.config import InputSpec
from avseg.datasets.aviseg.classes import aviseg_classes
from avseg.models.avism.config import AVISMConfig
from avseg.models.spec import Preset

LONGEST_SIDE = 1333
_SWIN_LARGE = partial(
    AVISMConfig,
    input=InputSpec((448, 448), rule="shorter_side", longest=LONGEST_SIDE),
    backbone="swin_large_patch4_window12_384",
    frame_queries=200,
)
PRESETS = {
    "r50": Preset(AVISMConfig, "instance", aviseg_classes),
    "swinl": Preset(_SWIN_LARGE, "instance", aviseg_classes),
}
