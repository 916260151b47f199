"""TPAVI's published settings. Imports no torch."""

from __future__ import annotations

from functools import partial
from typing import Literal

from avseg.config import AudioWindow
from avseg.datasets.avss.classes import avss_classes
from avseg.losses.config import AVMConfig
from avseg.models.spec import Preset
from avseg.models.tpavi.config import TPAVIConfig

Variant = Literal["s4", "ms3", "avss"]

_OBJECT = partial(TPAVIConfig, binary_space="probability")
_SEMANTIC = partial(
    TPAVIConfig, audio=AudioWindow(missing="zero_log_mel"), align_bias=False, valid_mask=True, avm=AVMConfig()
)
PRESETS = {
    "s4": Preset(_OBJECT, "binary"),
    "ms3": Preset(partial(_OBJECT, avm=AVMConfig()), "binary"),
    "avss": Preset(_SEMANTIC, "semantic", lambda: avss_classes()[1:]),
}
"""S4 is without the matching term, MS3 and AVSS have it with weight 0.5."""
