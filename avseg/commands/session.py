"""Prediction options of `avseg predict`: the options of every family's sessions, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Optional

from tyro.conf import arg

from avseg.commands.words import Parameter, fields_of
from avseg.models import FAMILIES

_CLASSES = Annotated[str | None, arg(metavar="NAMES")]
_THRESHOLD = Annotated[float | None, arg(metavar="X", aliases=["--score"])]


@dataclass(init=False)
class SessionChoices:
    """Prediction options, read by the command line as a dataclass with the options of all families."""

    def __init__(self, **values: Any) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        self.only = {name: given.pop(name) for name in ("classes", "threshold") if name in given}
        """Options of every model: which objects to mark."""
        self.given = given
        """The options of families that were given, by name."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return classes and threshold, then every option of the families; None for those not given."""
        named: dict[str, list[tuple[str, Parameter]]] = {}
        for family in FAMILIES:
            with suppress(ValueError):  # a plug-in that cannot be imported is told of where a model wants it
                for own in fields_of(FAMILIES[family].config.Options):
                    named.setdefault(own.name, []).append((family, own))
        yield Parameter("classes", _CLASSES, None, "Mark only these classes; separate their names with commas.")
        scores = [f"{own.default:g} for {family} models" for family, own in named.pop("score", [])]
        told = ", ".join([*scores, "none for others"])
        text = (
            "Leave out objects whose score (0 to 1) is not above this: tracks, or the mask of each frame by itself for "
            f"models that do not track (default: {told})."
        )
        yield Parameter("threshold", _THRESHOLD, None, text)
        for name, of in named.items():
            texts = [f"Models of the family {family}: {small(own.help)} (default: {own.default})" for family, own in of]
            yield Parameter(name, Optional[of[0][1].hint], None, " ".join(texts))  # noqa: UP045  a hint made of a value


def small(text: str | None) -> str:
    """Return a sentence in the form that follows a colon."""
    return (text or "")[:1].lower() + (text or "")[1:].rstrip(".")
