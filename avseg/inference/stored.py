"""The source of a result: a video, a clip, or the description of a video in a result folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from avseg.io.media import MediaError, VideoInfo
from avseg.types import Clip


@dataclass(frozen=True)
class StoredVideo:
    """The description of a video in result.json, without the file itself."""

    facts: Mapping[str, Any]
    """`video` of result.json."""

    @property
    def name(self) -> str:
        """Name of the file."""
        return str(self.facts["file"])

    @property
    def height(self) -> int:
        return int(self.facts["height"])

    @property
    def width(self) -> int:
        return int(self.facts["width"])

    def refuse(self, what: str) -> MediaError:
        """Return an error that explains why `what` cannot be made."""
        return MediaError(
            f"the video {self.name} is needed to make this: {what}; give the path of its file: "
            "Result.load(FOLDER, video=FILE)"
        )


Source: TypeAlias = VideoInfo | Clip | StoredVideo


def begin_of(source: Source) -> float:
    """Return the start of a result's part in s, on the clock of the whole video.

    Annotation files are used together with the whole video, so their times are on its clock.
    """
    if isinstance(source, Clip):
        return 0.0
    part = source.facts.get("part") if isinstance(source, StoredVideo) else source.part
    return float(part[0]) if part else 0.0
