"""The options of VPO. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class VPOConfig(DataConfig):
    """VPO-SS, VPO-MS or VPO-MSMI."""

    compat: tuple[Literal["audio_window", "relabel", "mono_flip", "merged_val"], ...] = ()
    """Published slips to repeat (docs/reference/datasets.md): `audio_window` keeps the end of short sounds and
    tiles it; `relabel` turns cars beside airplanes into airplanes; `mono_flip` mirrors pictures without their
    sound (published for VPO-SS); `merged_val` makes val and test one split under both names."""
    sounds: Path | None = None
    """Folder of the sounds. The default is vggsound_bench/VGGSound/audios below `root`."""

    def on_shards(self, root: Path) -> Self:
        return replace(super().on_shards(root), sounds=None)

    @property
    def mirrors_sound(self) -> bool:
        return "mono_flip" not in self.compat
