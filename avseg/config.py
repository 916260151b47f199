"""Plain frozen dataclasses as configuration: the values shared by every family, and their way to and from a dict.

Nothing here imports torch, so that help texts and recipes open at once.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

C = TypeVar("C")

WITHIN = 1e-6
"""s by which a frame may come before the second that it belongs to."""
MOST_LISTED = 12
"""Names that a sentence lists beside the nearest one."""


@dataclass(frozen=True)
class InputSpec:
    """Resizing of pictures for a network."""

    size: tuple[int, int] = (224, 224)
    """(H, W) in pixels."""
    rule: Literal["stretch", "shorter_side", "longer_side", "keep"] = "stretch"
    """`stretch` ignores the aspect ratio; the two `side` rules keep it and size one side; `keep` leaves the size."""
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    """How pictures are sampled; label maps are always sampled by the nearest pixel."""
    multiple_of: int = 1
    """Both sides are rounded to a multiple of this."""
    longest: int | None = None
    """`shorter_side`: the longer side gets no more than this, and the shorter one less where need be."""

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) at which a network wants to see pictures of `size` (H, W)."""
        height, width = size
        if self.rule == "stretch":
            height, width = self.size
        elif self.rule != "keep":
            side, wanted = (min, min(self.size)) if self.rule == "shorter_side" else (max, max(self.size))
            scale = wanted / side(size)
            if self.longest is not None and max(size) * scale > self.longest:
                scale = self.longest / max(size)
            height, width = int(height * scale + 0.5), int(width * scale + 0.5)
        step = self.multiple_of
        return max(round(height / step), 1) * step, max(round(width / step), 1) * step


@dataclass(frozen=True)
class AudioWindow:
    """The window of sound of each frame.

    Window k of a clip begins at `times[0] + hop * k` where `anchor` is "clip" (VGGish runs through the uncut clip with
    a hop of its own), at `times[k] + offset` where it is "frame", at `floor(times[k]) + offset` where it is "second".
    """

    seconds: float = 0.975
    """Length of a window; 0.975 s are 96 log-mel frames of 25 ms, 10 ms apart."""
    hop: float = 0.96
    """Seconds from one window to the next where `anchor` is "clip"."""
    anchor: Literal["clip", "frame", "second"] = "clip"
    """Whether windows run through the clip, or each begins beside its frame, or beside the second of its frame."""
    offset: float = 0.0
    """Seconds from a frame's time, or its second, to the beginning of its window; not where `anchor` is "clip"."""
    missing: Literal["silence", "repeat", "tile", "zero_log_mel"] = "repeat"
    """Filling of a window whose sound ends too early."""

    def begin(self, time: float) -> float:
        """s, when the window of a frame at `time` s begins, where `anchor` is not "clip"."""
        return (math.floor(time + WITHIN) if self.anchor == "second" else time) + self.offset


@dataclass(frozen=True)
class Temporal:
    """Grouping of frames for a network: one (`frame`), `length` at `spacing` s (`block`), or all (`clip`)."""

    kind: Literal["frame", "block", "clip"] = "block"
    """How frames are grouped."""
    length: int | None = 5
    """Frames of a block."""
    spacing: float = 1.0
    """Seconds between the frames of a block."""
    shown_after: float = 0.0
    """Seconds between a frame's nominal time (that `Clip.times` holds) and the moment its picture was taken."""


@dataclass(frozen=True)
class SessionOptions:
    """Prediction options of a model. A family with such options derives its own class from this.

    A field `score` is the threshold of what is predicted: nothing whose score is not above it. The command line calls
    it `--threshold`.
    """

    def changed(self, family: str, /, **values: Any) -> Self:
        """The options with some that are given.

        Raises:
            ValueError: one that models of this family do not have, or a value that it cannot have.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in values:
            if name not in known:
                which = did_you_mean(name, known) if known else "its predictions have no options"
                raise ValueError(f"a model of the family {family} has no option {name!r}; {which}")
        return from_dict(type(self), {**to_dict(self), **values})


@dataclass(frozen=True)
class ModelConfig:
    """Base of every family's config; `family` is its name in `avseg.models.FAMILIES`."""

    family: ClassVar[str] = ""
    Options: ClassVar[type[SessionOptions]] = SessionOptions
    """Class of the prediction options. Model files do not hold them; those of earlier versions did."""
    input: InputSpec = InputSpec()
    """How pictures are sized."""
    audio: AudioWindow = AudioWindow()
    """Which sound belongs to a frame."""
    temporal: Temporal = Temporal()
    """How many frames the network sees together."""

    @property
    def hears(self) -> bool:
        """Whether the model hears sound itself; otherwise clips must come with audio features."""
        return True

    @property
    def heard_channels(self) -> int:
        """2 for a model that hears left and right apart; the others take either and average."""
        return 1

    @property
    def sound_rate(self) -> int:
        """Hz of a video's sound; FFmpeg's resampler brings it there. 16000 as in the published preparation of the data
        sets."""
        return 16000

    @property
    def origins(self) -> dict[str, str]:
        """Weights from elsewhere, by part, with the commit of each; most models have all in their file."""
        return {}

    def idle(self) -> dict[str, str]:
        """Fields that change nothing because of others, each with the reason; a dot leads into a part."""
        return {}

    def refuse_idle(self) -> None:
        """Refuse fields that were set without effect; model files are read without this check.

        Raises:
            ValueError: an idle field that departs from its default.
        """
        for name, reason in self.idle().items():
            value, default = (functools.reduce(getattr, name.split("."), each) for each in (self, type(self)()))
            if value != default:
                raise ValueError(f"{name} is {value} but has no effect, because {reason}; leave it at {default}")

    @classmethod
    def former_options(cls, values: dict[str, Any]) -> SessionOptions:
        """The options of a session that a config of an earlier version holds; defaults for others.

        Raises:
            ValueError: a value that an option cannot have.
        """
        return from_dict(cls.Options, {name: values[name] for name in _former(cls) & values.keys()})


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON types; paths become strings with forward slashes."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.as_posix() if isinstance(value, Path) else value


def from_dict(kind: type[C], values: dict[str, Any]) -> C:
    """The dataclass `kind` from plain JSON types.

    Raises:
        ValueError: a name that `kind` does not have, with the nearest one that it has; or a value of another type.
    """
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values = {name: value for name, value in values.items() if name not in _former(kind)}
    for name in values:
        if name not in names:
            raise ValueError(f"{kind.__name__} has no field {name!r}; {did_you_mean(name, names)}")
    return kind(**{name: _typed(hints[name], value, f"{kind.__name__}.{name}") for name, value in values.items()})


def _former(kind: type) -> set[str]:
    """Fields that a model's config had in earlier versions, and that are options of a session now."""
    return {field.name for field in dataclasses.fields(kind.Options)} if issubclass(kind, ModelConfig) else set()


def _typed(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _typed(next(a for a in arguments if a is not type(None)), value, name)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value) if isinstance(value, dict) else _checked(hint, value, name)  # type: ignore[arg-type]
    if origin is tuple:
        _checked((list, tuple), value, name)
        variadic = len(arguments) == 2 and arguments[1] is Ellipsis
        if not variadic and len(value) != len(arguments):
            raise ValueError(f"{name} has {len(value)} values, wanted {len(arguments)}")
        kinds = [arguments[0]] * len(value) if variadic else arguments
        return tuple(_typed(k, v, name) for k, v in zip(kinds, value, strict=True))
    if origin is dict:
        return {key: _typed(arguments[1], item, f"{name}.{key}") for key, item in _checked(dict, value, name).items()}
    if hint is Path:
        return Path(_checked((str, Path), value, name))
    if hint is float and type(value) is int:
        return float(value)
    return _checked(hint, value, name) if hint in (bool, int, float, str) else value


def _checked(kind: Any, value: Any, name: str) -> Any:
    """Return `value` if it has the type `kind`, or one of several types; a bool does not count as a number."""
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    wanted = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
    raise ValueError(f"{name} is {value!r}, wanted a value of type {wanted}")


def check_choices(config: Any, what: str) -> None:
    """For a dataclass: every field that is one of some words, or several of them, holds no others.

    Raises:
        ValueError: a field that does not; the sentence names the field, its value and the words.
    """
    for name, words in choices_of(type(config)).items():
        value = getattr(config, name)
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if one not in words:
                raise ValueError(f"{name} {one!r} of {what} is none of {', '.join(map(repr, words))}")


def choices_of(kind: type) -> dict[str, tuple[str, ...]]:
    """The words of each field of a dataclass that is one of some words, or several of them."""
    found = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        words = typing.get_args(typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint)
        if words and all(isinstance(word, str) for word in words):
            found[field.name] = words
    return found


def as_number(value: Any) -> float:
    """A number of any library, such as numpy's; not a number (nan) where it is none: a text, a list, True."""
    return math.nan if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)


def did_you_mean(name: str, known: typing.Iterable[str]) -> str:
    """The end of an error sentence about an unknown name; a long list is left out where one name is near."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    listed = ", ".join(known)
    if near and len(known) > MOST_LISTED:
        return f"did you mean {near[0]!r}?"
    return f"did you mean {near[0]!r}? Known: {listed}" if near else f"known: {listed}"
