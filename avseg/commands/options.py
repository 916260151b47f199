"""The options of a command as a flat list, and the assignment of words of a command line to them."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from avseg.commands.words import (
    Hidden,
    Parameter,
    fields_of,
    is_config,
    is_hidden,
    is_one_way,
    is_positional,
    is_repeated,
    metavar,
    parameters_of,
    setting,
    stripped,
    without_none,
)


@dataclasses.dataclass(frozen=True)
class Option:
    """An option or positional argument of a command."""

    names: tuple[str, ...]
    """`--out`, `-o`; `--stereo`, `--no-stereo`. For a positional, the name of its parameter."""
    metavar: str
    kind: type | None
    """Type of every value: int, float, str or Path; None if the values have several types."""
    arity: int | None
    """Number of words that follow; None for any number."""
    choices: tuple[str, ...] = ()
    positional: bool = False
    required: bool = False
    nullable: bool = False
    """Whether `None` is a value."""
    default: Any = dataclasses.field(default=None, compare=False)
    """Its value where it is not given; `inspect.Parameter.empty` where it is required."""
    help: str = dataclasses.field(default="", compare=False)
    """Help text of a field of a dataclass; the docstring of a function has those of its parameters."""

    @property
    def shown(self) -> str:
        """The name used in messages: `--model MODEL`, or `VIDEO`."""
        if self.positional:
            return self.metavar.strip("[]").removesuffix(" ...")
        return f"{self.names[0]} {self.metavar}".strip()


@dataclasses.dataclass
class Given:
    """An option on a command line and the words that follow it."""

    option: Option | None
    """None for an unknown name or an extra word."""
    name: str
    values: list[str] = dataclasses.field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether the next word would belong to this option."""
        return self.option is not None and (self.option.arity is None or len(self.values) < self.option.arity)


def options_of(kind: Callable[..., Any], instance: Any = None, hidden: Hidden | None = None) -> list[Option]:
    """Return the options of a command in the order of its help page.

    Args:
        kind: the function, or a dataclass.
        instance: values of the dataclass, or replacements of a function's defaults; they select the fields.
        hidden: fields without an option.
    """
    return list(_options(kind, instance, (), hidden or {}))


def _options(kind: Any, instance: Any, prefix: tuple[str, ...], hidden: Hidden) -> Iterator[Option]:
    if not isinstance(kind, type):
        parameters = parameters_of(kind, instance)
    else:
        parameters = [p for p in fields_of(kind, instance) if not is_hidden(kind, p.name, hidden)]
    for parameter in parameters:
        yield from options_in(parameter, prefix, hidden)


def options_in(parameter: Parameter, prefix: tuple[str, ...], hidden: Hidden) -> Iterator[Option]:
    """The option of a parameter, or those of its fields if it has fields.

    Args:
        parameter: of a function or a dataclass.
        prefix: names that stand before its own, as `data` in `--data.name`.
        hidden: fields that have no option.
    """
    named = setting(parameter.hint, "name")
    path = (*prefix, parameter.name if named is None else named) if named != "" else prefix
    if not is_config(parameter.hint, parameter.default):
        yield _option(parameter, path)
    elif isinstance(parameter.default, dict):
        for key, value in parameter.default.items():
            yield from options_in(Parameter(str(key), type(value), value), path, hidden)
    elif parameter.default is not None:
        kind = without_none(stripped(parameter.hint)[0])
        given = isinstance(parameter.default, kind)
        yield from _options(type(parameter.default) if given else kind, parameter.default, path, hidden)


def _option(parameter: Parameter, path: tuple[str, ...]) -> Option:
    base = stripped(parameter.hint)[0]
    kind, arity, choices = _values(without_none(base))
    arity = 1 if is_repeated(parameter.hint) else arity
    positional = is_positional(parameter.hint)
    name = ".".join(path).replace("_", "-")
    names = (parameter.name,) if positional else (*(setting(parameter.hint, "aliases") or ()), f"--{name}")
    if arity == 0 and not is_one_way(parameter.hint):
        inner, _, last = name.rpartition(".")
        names = (*names, f"--{inner}.no-{last}" if inner else f"--no-{last}")
    return Option(
        names=tuple(sorted(names, key=len, reverse=arity != 0)),
        metavar="" if arity == 0 else metavar(parameter.hint, parameter.name),
        kind=kind,
        arity=arity,
        choices=choices,
        positional=positional,
        required=parameter.default is inspect.Parameter.empty,
        nullable=base is not without_none(base),
        default=parameter.default,
        help=parameter.help or "",
    )


def _values(kind: Any) -> tuple[type | None, int | None, tuple[str, ...]]:
    """Return the kind of a type's words, their number (0 for a switch, None for any) and the allowed words."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if kind is bool:
        return None, 0, ()
    if origin is Literal:
        return None, 1, tuple(map(str, members))
    if origin in (tuple, list):
        inner = [_values(member) for member in members if member is not Ellipsis]
        several = origin is list or Ellipsis in members
        same = len({item[0] for item in inner}) == 1
        return inner[0][0] if same else None, None if several else len(inner), inner[0][2] if same else ()
    if origin is dict:
        return None, None, ()
    if origin in (typing.Union, types.UnionType):
        return None, 1, ()
    return kind if kind in (int, float, str, Path) else None, 1, ()


def read_words(words: Sequence[str], options: Sequence[Option]) -> list[Given]:
    """Assign each word to its option as tyro does, including wrong words.

    An option takes as many words as it needs; an option without a fixed number takes all words up to the next option. A
    name may use underscores for hyphens and may carry its value after `=`.
    """
    by_name = {name: option for option in options if not option.positional for name in option.names}
    waiting = [option for option in options if option.positional]
    found: list[Given] = []
    latest: Given | None = None
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word == "--":
            rest = [Given(waiting.pop(0) if waiting else None, w, [w]) for w in words[place + 1 :]]
            return found + rest
        if _is_name(word):
            name = name.replace("_", "-") if name.startswith("--") else name
            latest = Given(by_name.get(name), word if name not in by_name else name, [value] if equals else [])
            found.append(latest)
        elif latest is not None and latest.open:
            latest.values.append(word)
        else:
            latest = Given(waiting.pop(0) if waiting else None, word, [word])
            found.append(latest)
    return found


def _is_name(word: str) -> bool:
    """Whether a word names an option: a dash followed by a letter, so that -1 and -.5 are values."""
    return word.startswith("-") and word.lstrip("-")[:1].isalpha() and word.lower() not in ("-inf", "-nan")
