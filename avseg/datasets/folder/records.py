"""Records of labels of videos, in one form for all annotation files and masks. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

Unit = Literal["step", "second", "frame"]
NAMES = (
    "NUMBER (a step of --data.fps, which is a second by default), NUMBERs (a time in seconds) or frame_NUMBER (a "
    "picture of the video, counted from 0)"
)
"""How a picture is named, for sentences."""
_STEP, _SECOND, _FRAME = re.compile(r"\d{1,9}"), re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s"), re.compile(r"frame_(\d{1,9})")


@dataclass(frozen=True)
class When:
    """Which picture of a video is meant."""

    unit: Unit
    """Steps of the data set's rate and seconds name a time, `frame` the number of a picture in the video, from 0."""
    value: float

    def seconds(self, fps: float) -> float | None:
        """s; None where only decoding tells."""
        if self.unit == "frame":
            return None
        return self.value / fps if self.unit == "step" else self.value

    def __str__(self) -> str:
        if self.unit == "frame":
            return f"picture {self.value:g}"
        return f"step {self.value:g}" if self.unit == "step" else f"{self.value:g} s"


def when_of(name: str) -> When | None:
    """Which picture a file name means: `000003`, `3.5s` or `frame_000090`, whatever its suffix; None: none of these."""
    stem = re.sub(r"\.[A-Za-z]\w*$", "", PurePosixPath(name).name)
    if _STEP.fullmatch(stem):
        return When("step", int(stem))
    if found := _SECOND.fullmatch(stem):
        return When("second", float(found[1]))
    if found := _FRAME.fullmatch(stem.lower()):
        return When("frame", int(found[1]))
    return None


@dataclass(frozen=True)
class Area:
    """One labelled part of a picture."""

    label: str
    """The name of its class."""
    segmentation: Any
    """Polygons or run lengths in the form of COCO; or a function of (H, W) that gives them."""
    track: int | None = None
    """Number of the object in its video, if objects are separate."""
    order: int = 0
    """Areas of higher order lie on top."""


@dataclass(frozen=True)
class LabelledFrame:
    """The labels of one picture: a label map, or areas (none: no sounding object)."""

    when: When
    labels: Path | None = None
    areas: tuple[Area, ...] = ()
    size: tuple[int, int] | None = None
    """(H, W) that the file states."""
    drawn: bool = True
    """The picture itself was annotated; it is preferred to others of the same step."""


@dataclass(frozen=True)
class VideoLabels:
    """The labels of one video from one source."""

    source: Path
    """The file, or the folder of masks."""
    form: str
    """Kind of file, for messages."""
    frames: tuple[LabelledFrame, ...]
    names: Mapping[int, str] = field(default_factory=dict)
    """Class names by the value of label maps, where a file beside them tells; empty: as `classes.txt` has them."""
    objects: bool = False
    """Whether objects are separate: areas have tracks, or label maps contain object numbers."""
    named: bool = True
    """It has class names of its own."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes that it has, in the order in which they come."""
        areas = [area.label for frame in self.frames for area in frame.areas]
        return list(dict.fromkeys([*self.names.values(), *areas]))


@dataclass(frozen=True)
class FolderVideo:
    """A video and what is known of it."""

    name: str
    path: Path
    labels: VideoLabels


class AnnotationError(ValueError):
    """A file of annotations that cannot be used; the message is one sentence."""
