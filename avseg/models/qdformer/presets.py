"""QDFormer's published settings. Imports no torch."""

from __future__ import annotations

from functools import partial

from avseg.datasets.avss.classes import avss_classes
from avseg.models.config import TEN_SECONDS
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.spec import Preset

PRESETS = {
    "1s7m": Preset(QDFormerConfig, "binary"),
    "s4": Preset(QDFormerConfig, "binary"),
    "ms3": Preset(QDFormerConfig, "binary"),
    "avss": Preset(partial(QDFormerConfig, temporal=TEN_SECONDS), "semantic", lambda: avss_classes()[1:]),
}
"""`1s7m` is S4 with seven times MS3."""
