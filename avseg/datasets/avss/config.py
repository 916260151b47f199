"""The options of AVSS. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class AVSSConfig(DataConfig):
    """AVSS."""

    name: str = "avss"
    compat: tuple[Literal["audio_window"], ...] = ()
    """Published slips to repeat
    (docs/reference/datasets.md): `audio_window` keeps the end of short sounds and tiles it."""
    parts: tuple[Literal["v1s", "v1m", "v2"], ...] = ()
    """Parts whose clips are read. The default is all parts."""
    binary: bool = False
    """Treat every class as foreground; `target.sounding` still has the classes."""
