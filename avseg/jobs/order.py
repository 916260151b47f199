"""An order to segment a video, and the progress of the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from avseg.config import from_dict, to_dict
from avseg.inference.export.kinds import USUAL, choose
from avseg.inference.export.style import PLAIN, Style
from avseg.io.part import part_of

MaskForm: TypeAlias = Literal["usual", "png", "rle", "npz", "none"]
Stage: TypeAlias = Literal["loading", "predicting", "writing"]


@dataclass(frozen=True)
class Order:
    """One video and the wanted outputs; the names are the options of `avseg predict`."""

    model: str
    """A model file, a Hub id, `demo`, or a name that opens a model without a file."""
    video: Path
    out: Path
    """Parent of the result folder, which has the video's name."""
    audio: Path | None = None
    """File whose sound replaces the video's own."""
    save: tuple[str, ...] = USUAL
    """Kinds of output, as `--save` names them."""
    masks: MaskForm = "usual"
    """Format of the masks; `usual`: PNG if `save` names masks."""
    fps: float | None = None
    """Masks per second; None: the model's default."""
    threshold: float | None = None
    classes: str | None = None
    """Names separated by commas; None: all."""
    start: str | None = None
    """Seconds, or `1:02.5`; None: the beginning."""
    end: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    """Choices for a model that opens by name, such as {"vocabulary": "dog,guitar"}."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the model's family, such as {"candidates": 50}."""
    style: Style = PLAIN
    """Style of the masks."""

    def check(self) -> None:
        """Check an order from a remote client.

        Raises:
            ValueError: a kind or form of output that there is not, times that are none, a threshold that is no number,
                or a choice that names a file.
        """
        choose(self.save)
        if self.masks not in get_args(MaskForm):
            raise ValueError(f"masks is {self.masks!r}, wanted one of {', '.join(get_args(MaskForm))}")
        if self.threshold is not None and not isfinite(self.threshold):
            raise ValueError(f"threshold is {self.threshold}, wanted a number")
        part_of(self.start, self.end)
        for name, value in self.choices.items():
            if "/" in value or "\\" in value or _is_file(value):
                raise ValueError(f"{name} is {value!r}, which is the name of a file; give the words themselves")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Order:
        """
        Raises:
            ValueError: a name that there is not, or a value of another type.
        """
        return from_dict(cls, values)


@dataclass(frozen=True)
class JobProgress:
    """Progress of the work on a video."""

    stage: Stage
    done: float = 0.0
    """Finished seconds of the video; never decreases."""
    total: float = 0.0
    """Length of the video in s; 0 if unknown."""
    notes: tuple[str, ...] = ()
    """Remarks so far, as sentences: a truncated file, an output that could not be written."""

    @property
    def share(self) -> float | None:
        """Share from 0 to 1; None if unknown."""
        return min(self.done / self.total, 1.0) if self.total else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return to_dict(self)


def _is_file(value: str) -> bool:
    """Whether a choice names a file on this machine."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
