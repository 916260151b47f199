"""Metavars, defaults and help texts of the parameters of commands and the fields of configs.

tyro builds options from type hints, and its own metavars name Python's types (`{None}|FLOAT`). Here every hint gets a
metavar that shows what to write (FILE, DIR, N), and empty defaults are hidden.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from tyro.conf import arg
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

T = TypeVar("T")

Video = Annotated[T, arg(metavar="VIDEO")]
ModelFile = Annotated[T, arg(metavar="MODEL")]
File = Annotated[T, arg(metavar="FILE")]
Dir = Annotated[T, arg(metavar="DIR")]
OutFile = Annotated[Path, arg(metavar="FILE", aliases=["-o"])]

METAVARS = {
    "root": "DIR",
    "cache": "DIR",
    "raw": "DIR",
    "out": "DIR",
    "images": "DIR",
    "sounds": "DIR",
    "audios": "DIR",
    "device": "DEVICE",
    "protocol": "PROTOCOL",
    "suite": "SUITE",
    "suites": "SUITE",
    "trackers": "TRACKER",
    "also_best": "FIGURE",
    "needs": "FIELD",
    "save": "KIND",
    "model": "MODEL",
    "change": "CLASS=LABEL;LABEL",
}
"""Metavars by the name of a parameter or field; all others use the metavar of their type."""

SEVERAL = {"size": "H W", "fractions": "TRAIN VAL TEST"}
"""Metavars of options with a fixed number of values."""

_OF_TYPES = {int: "N", float: "X", str: "NAME", Path: "FILE"}

Hidden = Mapping[str, Collection[str]]
"""Fields by the name of their dataclass; "*" means all of them."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a function, or one field of a dataclass."""

    name: str
    hint: Any
    default: Any
    """`inspect.Parameter.empty` if a value is required."""
    help: str | None = None


def fields_of(kind: type, instance: Any = None) -> list[Parameter]:
    """Return the fields of a dataclass, with the values of `instance` as defaults if it is an instance of the class.

    A class with a method `parameters` lists its fields itself.
    """
    if hasattr(kind, "parameters"):
        return list(kind.parameters())
    hints, texts = typing.get_type_hints(kind, include_extras=True), _texts(kind)
    found = []
    for field in dataclasses.fields(kind):
        if isinstance(instance, kind):
            default = getattr(instance, field.name)
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
        found.append(Parameter(field.name, hints[field.name], default, texts.get(field.name)))
    return found


def parameters_of(function: Callable[..., Any], given: Mapping[str, Any] | None = None) -> list[Parameter]:
    """Return the parameters of a function; values and types in `given` replace their defaults."""
    hints, given = typing.get_type_hints(function, include_extras=True), given or {}
    return [
        Parameter(name, type(given[name]), given[name]) if name in given else Parameter(name, hints[name], p.default)
        for name, p in inspect.signature(function).parameters.items()
    ]


def stripped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split a hint into the type without `Annotated` and the annotations."""
    if typing.get_origin(hint) is Annotated:
        base, *extras = typing.get_args(hint)
        return base, tuple(extras)
    return hint, ()


def setting(hint: Any, name: str) -> Any:
    """Return the value of `name` in the `tyro.conf.arg` of a hint, such as its metavar or aliases; None if not set."""
    given = [value for extra in stripped(hint)[1] if (value := getattr(extra, name, None)) is not None]
    return given[-1] if given else None


def without_none(hint: Any) -> Any:
    """Return `X` for `X | None`, and any other hint unchanged."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    rest = [member for member in typing.get_args(hint) if member is not types.NoneType]
    return rest[0] if len(rest) == 1 else hint


def metavar(hint: Any, name: str) -> str:
    """Return the placeholder for the values of an option in help texts and messages."""
    kind = without_none(stripped(hint)[0])
    own = setting(hint, "metavar") or (METAVARS.get(name) if kind is not int else None)
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and Ellipsis not in members:
        return SEVERAL.get(name) or " ".join(own or metavar(member, "") for member in members)
    if origin in (tuple, list) and is_repeated(hint):
        return str(own or metavar(members[0], ""))
    if origin in (tuple, list):
        return f"[{own or metavar(members[0], '')} ...]"
    if origin is dict:
        return f"[{own or ' '.join(metavar(member, '') for member in members)} ...]"
    if own:
        return str(own)
    return f"{{{','.join(map(str, members))}}}" if origin is Literal else _OF_TYPES.get(kind, "VALUE")


def is_config(hint: Any, default: Any) -> bool:
    """Whether a parameter is a dataclass or a dictionary of dataclasses."""
    kind = without_none(stripped(hint)[0])
    if typing.get_origin(kind) is dict:
        return bool(default) or dataclasses.is_dataclass(typing.get_args(kind)[1])
    return dataclasses.is_dataclass(kind)


def dressed(parameter: Parameter) -> Any:
    """Return the hint of a parameter for tyro, with its metavar, and with its default unless that is empty."""
    hint = parameter.hint
    if is_config(hint, parameter.default):
        return hint
    base, extras = stripped(hint)
    shown = None if without_none(base) is bool else _in_place(hint, parameter)
    return Annotated[(base, *extras, arg(metavar=shown, help_behavior_hint=_default_shown))]


def _in_place(hint: Any, parameter: Parameter) -> str:
    """Return the metavar as shown; positionals that are required have no brackets."""
    shown, positional = metavar(hint, parameter.name), is_positional(hint)
    required = parameter.default is inspect.Parameter.empty
    if positional and required and shown.startswith("["):
        return shown[1:-1]
    return f"[{shown}]" if positional and not required and not shown.startswith("[") else shown


def is_positional(hint: Any) -> bool:
    """Whether a parameter is positional."""
    return _is_marked(hint, tyro.conf.Positional[int])


def is_repeated(hint: Any) -> bool:
    """Whether an option takes one value and may be repeated."""
    return _is_marked(hint, tyro.conf.UseAppendAction[int])


def is_one_way(hint: Any) -> bool:
    """Whether a switch can only be turned on."""
    return _is_marked(hint, tyro.conf.FlagCreatePairsOff[bool])


def _is_marked(hint: Any, example: Any) -> bool:
    return any(extra in stripped(example)[1] for extra in stripped(hint)[1])


def _default_shown(label: str) -> str:
    if label in ("None", "", "''", "()"):
        return ""
    return f"(default: {'on' if label == 'True' else 'off' if label == 'False' else label})"


def registry(hidden: Hidden) -> ConstructorRegistry:
    """Return tyro's rules for our dataclasses; `hidden` fields have no option and keep their values."""
    rules = ConstructorRegistry()

    @rules.struct_rule
    def ours(info: StructTypeInfo) -> StructConstructorSpec | None:
        kind = info.type
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            return None
        fields = tuple(
            StructFieldSpec(p.name, _shown(p, not is_hidden(kind, p.name, hidden)), _given(p), p.help)
            for p in fields_of(kind, info.default)
        )
        return StructConstructorSpec(kind, fields)

    return rules


def both(one: Hidden, other: Hidden) -> Hidden:
    """Return the fields that either of two mappings hides."""
    return {name: (*one.get(name, ()), *other.get(name, ())) for name in {**one, **other}}


def is_hidden(kind: type, name: str, hidden: Hidden) -> bool:
    """Whether a field of a dataclass or of one of its bases is in `hidden`."""
    names = [entry for base in kind.__mro__ for entry in hidden.get(base.__name__, ())]
    return name in names or ("*" in names and f"-{name}" not in names)


def _shown(parameter: Parameter, shown: bool) -> Any:
    hint: Any = dressed(parameter)
    closed: Any = tyro.conf.Suppress
    return hint if shown else closed[hint]


def _given(parameter: Parameter) -> Any:
    return tyro.MISSING if parameter.default is inspect.Parameter.empty else parameter.default


@functools.cache
def _texts(kind: type) -> dict[str, str]:
    """Return the strings below the fields of a dataclass and its bases, each as one paragraph."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        try:
            source = inspect.getsource(base)
        except OSError:  # of a class that no file defines
            continue
        body = ast.parse(textwrap.dedent(source)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def deferred(function: Callable[..., int], given: Mapping[str, Any] | None = None) -> Callable[..., Callable[[], int]]:
    """Return `function` in the form that tyro needs: with dressed hints, and returning the call without making it.

    This separates messages of tyro about wrong words from the output of the command itself.
    """

    def later(*args: Any, **kwargs: Any) -> Callable[[], int]:
        return functools.partial(function, *args, **kwargs)

    found = {p.name: p for p in parameters_of(function, given)}
    hints = {name: dressed(parameter) for name, parameter in found.items()}
    signature = inspect.signature(function)
    parameters = [
        p.replace(annotation=hints[p.name], default=found[p.name].default) for p in signature.parameters.values()
    ]
    later.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    later.__annotations__, later.__doc__, later.__name__ = dict(hints), _joined(function.__doc__), function.__name__
    return later


def _joined(docstring: str | None) -> str | None:
    """Join the broken lines of a docstring's arguments, so that help texts wrap at the width of the terminal."""
    if not docstring:
        return docstring
    lines: list[str] = []
    for line in inspect.cleandoc(docstring).splitlines():
        if line.startswith("        ") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)
