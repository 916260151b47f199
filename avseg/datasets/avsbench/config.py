"""The options of S4, MS3, and both together. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class S4Config(DataConfig):
    """S4."""

    name: str = "s4"
    audio: Literal["wav", "log_mel"] = "wav"
    """Source of the sound: the WAV files, or the log-mel pickles of the data set."""
    compat: tuple[Literal["audio_window", "audio_hop"], ...] = ()
    """Published slips to repeat (docs/reference/datasets.md): `audio_window` keeps the end of short sounds and
    tiles it; `audio_hop` lets frame i hear from 2 i s on."""
    binary: bool = False
    """Treat every class as foreground, which is always the case here."""


@dataclass(frozen=True)
class MS3Config(S4Config):
    """MS3."""

    name: str = "ms3"
    mask_mode: Literal["auto", "nonzero", "upstream"] = "auto"
    """Meaning of the values in mask files. `nonzero`: everything but 0 is foreground; `upstream`: the value of
    PIL's mode P over 255, rounded; `auto`: `nonzero`, but an error on the first file where the two disagree.
    """


@dataclass(frozen=True)
class MixedConfig(MS3Config):
    """S4 and MS3 together."""

    name: str = "avs_1s7m"
    mix: dict[str, int] = field(default_factory=dict)
    """How often an epoch of training has the clips of S4 and of MS3; empty: `s4` once and `ms3` seven times. What is
    not named, or comes 0 times, is in no split."""
