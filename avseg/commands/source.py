"""What `avseg predict` uses of a video: the words `--start`, `--end` and `--audio`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

Time = Annotated[str | None, arg(metavar="TIME")]


@dataclass(frozen=True)
class SourceChoices:
    """All of a video and its own sound, unless something else is given."""

    start: Time = None
    """Begin here, in seconds or as 1:02.5; all times of the result count from here."""
    end: Time = None
    """Stop here, on the clock of the video."""
    audio: Path | None = None
    """Hear the sound of this file (WAV, MP3, a video ...) instead of the video's own, from its first picture on. With
    it a picture (JPEG, PNG ...) may stand in place of a video."""
