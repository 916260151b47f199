"""Input options of `avseg predict`: `--start`, `--end` and `--audio`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

Time = Annotated[str | None, arg(metavar="TIME")]


@dataclass(frozen=True)
class SourceChoices:
    """Part of a video and its sound; by default the whole video with its own sound."""

    start: Time = None
    """Start time, in seconds or as 1:02.5. All times in the result count from here."""
    end: Time = None
    """End time, on the clock of the video."""
    audio: Path | None = None
    """Use the sound of this file (WAV, MP3, a video ...) instead of the video's own, starting at the first picture.
    With it, VIDEO may also be a picture (JPEG, PNG ...).
    """
