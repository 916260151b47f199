"""Loss terms as pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

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
    from avseg.losses.dense import squared_dice_loss as squared_dice_loss

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
    "squared_dice_loss": "avseg.losses.dense",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
