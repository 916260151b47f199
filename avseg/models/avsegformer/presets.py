"""AVSegFormer's published settings. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from avseg.config import AudioWindow, InputSpec
from avseg.datasets.avss.classes import avss_classes
from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.config import TEN_SECONDS
from avseg.models.spec import Preset

Variant = Literal["s4", "ms3", "avss", "s4_512", "ms3_512", "avss_512"]
Generation = Literal[1, 2, 3]

_LARGE = InputSpec((512, 512), multiple_of=32)
_PUBLISHED = partial(AVSegFormerConfig, dice="published", mix_probability="published")
_SEMANTIC: dict[str, Any] = {
    "audio": AudioWindow(missing="zero_log_mel"),
    "temporal": TEN_SECONDS,
    "valid_mask": True,
}


def _object(frozen: int, **more: Any) -> Preset:
    still: dict[str, Any] = {"freeze_backbone_epochs": frozen, "frozen_backbone": "published"}
    return Preset(partial(_PUBLISHED, **still, **more), "binary")


def _semantic(**more: Any) -> Preset:
    made: Callable[..., AVSegFormerConfig] = partial(_PUBLISHED, **_SEMANTIC, **more)
    return Preset(made, "semantic", lambda: avss_classes()[1:])


PRESETS: dict[str, Preset] = {
    "s4": _object(5),
    "ms3": _object(10),
    "avss": _semantic(),
    "s4_512": _object(5, input=_LARGE),
    "ms3_512": _object(10, input=_LARGE),
    "avss_512": _semantic(input=_LARGE),
}
"""AVSegFormer at 224 x 224, and AVSegFormer* at 512 x 512."""

GENERATIONS: dict[Generation, dict[str, Any]] = {
    2: {"generator": "repeat", "mix_weight": 0.0, "mix_probability": "rescaled", "layer_weight": 0.1},
    3: {},
}
"""The changes of each generation in a preset. The probability of a mask that is not made is the default."""
