"""What is wanted of a video, and how far the work on it is."""

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
    """One video and what is made of it; the names are those of `avseg predict`."""

    model: str
    """A model file, a Hub id, `demo`, or a name that opens a model without a file."""
    video: Path
    out: Path
    """The result stands in a folder of the video's name below this one."""
    audio: Path | None = None
    """The file whose sound stands in place of the video's own."""
    save: tuple[str, ...] = USUAL
    """Kinds of output, as `--save` names them."""
    masks: MaskForm = "usual"
    """The form of the masks; `usual`: PNG where `save` names masks."""
    fps: float | None = None
    """Masks a second; None: as the model has it."""
    threshold: float | None = None
    classes: str | None = None
    """Names with commas between them; None: all."""
    start: str | None = None
    """Seconds, or `1:02.5`; None: the beginning."""
    end: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    """Of a model that opens by name, such as {"vocabulary": "dog,guitar"}."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the model's family, such as {"candidates": 50}."""
    style: Style = PLAIN
    """How masks are painted."""

    def check(self) -> None:
        """For orders of people who are not the owner of this machine.

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
                raise ValueError(f"{name} is {value!r}, which names a file; give the words themselves")

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
    """How far the work on a video is."""

    stage: Stage
    done: float = 0.0
    """s of the video that are done; it never goes back."""
    total: float = 0.0
    """s of the video; 0 where its file does not tell."""
    notes: tuple[str, ...] = ()
    """What there is to say so far, in sentences: a file that is cut short, an output that could not be written."""

    @property
    def share(self) -> float | None:
        """0 to 1; None where nobody knows."""
        return min(self.done / self.total, 1.0) if self.total else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return to_dict(self)


def _is_file(value: str) -> bool:
    """Whether a choice would be read from a file of this machine."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
