"""What results are of: a video, a clip, or a video that a result folder tells of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from avseg.io.media import MediaError, VideoInfo
from avseg.types import Clip


@dataclass(frozen=True)
class StoredVideo:
    """What result.json says of a video whose file is not at hand."""

    facts: Mapping[str, Any]
    """`video` of result.json."""

    @property
    def name(self) -> str:
        """Of the file."""
        return str(self.facts["file"])

    @property
    def height(self) -> int:
        return int(self.facts["height"])

    @property
    def width(self) -> int:
        return int(self.facts["width"])

    def refuse(self, what: str) -> MediaError:
        """Why there is no `what`."""
        return MediaError(
            f"{self.name} is not at hand, so no {what} can be made of it; say where the file is: "
            "Result.load(FOLDER, video=FILE)"
        )


Source: TypeAlias = VideoInfo | Clip | StoredVideo


def begin_of(source: Source) -> float:
    """s, where on the clock of the whole video the times of a result begin: at the start of the part that was chosen.

    Files of annotations are read beside the whole video, so times in them are on its clock.
    """
    if isinstance(source, Clip):
        return 0.0
    part = source.facts.get("part") if isinstance(source, StoredVideo) else source.part
    return float(part[0]) if part else 0.0
