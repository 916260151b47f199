"""The options of a command as a flat list, and which word of a command line belongs to which of them."""

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
    """What a command takes: by name, or by place."""

    names: tuple[str, ...]
    """`--out`, `-o`; `--stereo`, `--no-stereo`. A positional has its parameter's name."""
    metavar: str
    kind: type | None
    """int, float, str or Path of every value; None where values are of several kinds."""
    arity: int | None
    """Words behind it; None: any number."""
    choices: tuple[str, ...] = ()
    positional: bool = False
    required: bool = False
    nullable: bool = False
    """Whether `None` is a value."""
    default: Any = dataclasses.field(default=None, compare=False)
    """Its value where it is not given; `inspect.Parameter.empty` where it is required."""
    help: str = dataclasses.field(default="", compare=False)
    """What it does, of a field of a dataclass; the parameters of a function have theirs in its docstring."""

    @property
    def shown(self) -> str:
        """As messages call it: `--model MODEL`, or `VIDEO`."""
        if self.positional:
            return self.metavar.strip("[]").removesuffix(" ...")
        return f"{self.names[0]} {self.metavar}".strip()


@dataclasses.dataclass
class Given:
    """An option of a command line and the words behind it."""

    option: Option | None
    """None: a name that the command does not have, or a word too many."""
    name: str
    values: list[str] = dataclasses.field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether one more word would belong to it."""
        return self.option is not None and (self.option.arity is None or len(self.values) < self.option.arity)


def options_of(kind: Callable[..., Any], instance: Any = None, hidden: Hidden | None = None) -> list[Option]:
    """What a command takes, in the order of its help page.

    Args:
        kind: the function, or a dataclass.
        instance: values of the dataclass, or in place of a function's defaults; they decide which fields there are.
        hidden: fields that have no option.
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
    """Of a type: the kind of its words, their number (0: a switch; None: any number), and the only ones allowed."""
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
    """Which option each word belongs to, as tyro reads them, wrong words included.

    An option is followed by as many words as it takes, one without a fixed number by all up to the next option; a
    name may have underscores for hyphens and its value behind `=`.
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
    """Whether a word names an option: a dash and a letter, so that -1 and -.5 are values."""
    return word.startswith("-") and word.lstrip("-")[:1].isalpha() and word.lower() not in ("-inf", "-nan")
