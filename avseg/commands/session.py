"""What `avseg predict` may change of how models predict: the options of every family's sessions, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from avseg.commands.words import Parameter, fields_of
from avseg.models import FAMILIES


@dataclass(init=False)
class SessionChoices:
    """Read by the command line as a dataclass whose fields are the options of all families."""

    def __init__(self, **values: Any) -> None:
        self.given = {name: value for name, value in values.items() if value is not None}
        """Those that were given, by name."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """One for each option; None where it is not given."""
        named: dict[str, list[tuple[str, Parameter]]] = {}
        for family in FAMILIES:
            with suppress(ValueError):  # a plug-in that cannot be imported is told of where a model wants it
                for own in fields_of(FAMILIES[family].config.Options):
                    named.setdefault(own.name, []).append((family, own))
        for name, of in named.items():
            texts = [f"Models of the family {family}: {small(own.help)} (default: {own.default})" for family, own in of]
            yield Parameter(name, Optional[of[0][1].hint], None, " ".join(texts))  # noqa: UP045  a hint made of a value


def small(text: str | None) -> str:
    """A sentence as it stands behind a colon."""
    return (text or "")[:1].lower() + (text or "")[1:].rstrip(".")
