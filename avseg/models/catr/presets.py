"""CATR's published setting. Imports no torch."""

from __future__ import annotations

from functools import partial
from typing import Literal

from avseg.models.catr.config import CATRConfig, CATRLossConfig
from avseg.models.spec import Preset

Variant = Literal["s4", "ms3"]

PUBLISHED = partial(
    CATRConfig,
    audio_frame="first",
    second_gate="first",
    reduce="nearest",
    criterion=CATRLossConfig(bce_space="probability"),
)
"""With the slips of the published code."""
PRESETS = {"s4": Preset(PUBLISHED, "binary"), "ms3": Preset(PUBLISHED, "binary")}
"""The code of S4 alone was published. MS3 is ours: the same network, trained on all annotated frames."""
