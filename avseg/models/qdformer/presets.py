"""QDFormer's published settings. Imports no torch."""

from __future__ import annotations

from functools import partial

from avseg.config import Temporal
from avseg.datasets.avss.classes import avss_classes
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.spec import Preset

_TEN_FRAMES = Temporal("block", 10, shown_after=0.9375)
PRESETS = {
    "1s7m": Preset(QDFormerConfig, "binary"),
    "s4": Preset(QDFormerConfig, "binary"),
    "ms3": Preset(QDFormerConfig, "binary"),
    "avss": Preset(partial(QDFormerConfig, temporal=_TEN_FRAMES), "semantic", lambda: avss_classes()[1:]),
}
"""`1s7m` is S4 with seven times MS3."""
