"""Loss terms as pure functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avseg.losses.audio_visual import avm_loss as avm_loss
    from avseg.losses.config import AVMConfig as AVMConfig
    from avseg.losses.config import ContrastConfig as ContrastConfig
    from avseg.losses.contrastive import contrastive_loss as contrastive_loss
    from avseg.losses.contrastive import info_nce as info_nce
    from avseg.losses.dense import binary_loss as binary_loss
    from avseg.losses.dense import pixel_loss as pixel_loss
    from avseg.losses.dense import semantic_loss as semantic_loss
    from avseg.losses.dense import sounding_loss as sounding_loss

_HOMES = {
    "AVMConfig": "avseg.losses.config",
    "ContrastConfig": "avseg.losses.config",
    "avm_loss": "avseg.losses.audio_visual",
    "binary_loss": "avseg.losses.dense",
    "contrastive_loss": "avseg.losses.contrastive",
    "info_nce": "avseg.losses.contrastive",
    "pixel_loss": "avseg.losses.dense",
    "semantic_loss": "avseg.losses.dense",
    "sounding_loss": "avseg.losses.dense",
}

__all__ = [
    "AVMConfig",
    "ContrastConfig",
    "avm_loss",
    "binary_loss",
    "contrastive_loss",
    "info_nce",
    "pixel_loss",
    "semantic_loss",
    "sounding_loss",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'avseg.losses' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
