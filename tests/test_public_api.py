"""The public API of each minor version still imports: names, parameters, commands, recipes and entry points.

`golden/house/public_api_0.1.json` is the written list of 0.1. A name leaves it only after the deprecation period that
CONTRIBUTING.md describes. `python tests/test_public_api.py 0.2` writes the list of a new minor version.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from avseg.cli import commands
from avseg.lazy import imported
from avseg.recipes import RECIPES
from extras import needs

LISTS = Path(__file__).parent / "golden" / "house"
DOORS = (
    *("avseg", "avseg.batch", "avseg.data", "avseg.datasets", "avseg.engine", "avseg.engines", "avseg.export"),
    *("avseg.inference", "avseg.jobs", "avseg.live", "avseg.losses", "avseg.metrics", "avseg.models"),
    *("avseg.recipes", "avseg.render", "avseg.service", "avseg.synth", "avseg.weights"),
)
REGISTRIES = ("avseg.models:FAMILIES", "avseg.datasets:DATASETS", "avseg.recipes:RECIPES", "avseg.metrics:SUITES")
NEEDED = {"avseg.service": ("fastapi", "uvicorn", "prometheus_client", "python_multipart")}
"""Packages of extras without which the names of a door do not import."""


def parameters(value: Any) -> list[str]:
    """Names of parameters in order; `*` before those that are passed by name alone."""
    names: list[str] = []
    for p in inspect.signature(value).parameters.values():
        if p.kind is p.KEYWORD_ONLY and "*" not in names and not any(n.startswith("*") for n in names):
            names.append("*")
        names.append({p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name)
    return names


def callables() -> Iterator[tuple[str, Any]]:
    """The callables of `avseg` itself: functions, classes, and public methods that the classes define."""
    package = importlib.import_module("avseg")
    for name in package.__all__:
        value = getattr(package, name)
        if not callable(value):
            continue
        yield name, value
        for method in vars(value) if inspect.isclass(value) else ():
            if not method.startswith("_") and callable(getattr(value, method)):
                yield f"{name}.{method}", getattr(value, method)


def members(value: type) -> list[str]:
    """Fields, properties and methods that a class of `avseg` defines itself."""
    fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    return sorted({*fields, *(name for name in vars(value) if not name.startswith("_"))})


def present() -> dict[str, Any]:
    face = importlib.import_module("avseg")
    classes = [name for name in face.__all__ if inspect.isclass(getattr(face, name))]
    return {
        "names": {door: sorted(importlib.import_module(door).__all__) for door in DOORS},
        "members": {name: members(getattr(face, name)) for name in classes},
        "parameters": {name: parameters(value) for name, value in callables()},
        "commands": sorted(commands()),
        "recipes": sorted(RECIPES),
        "entry_points": sorted(imported(address).group for address in REGISTRIES),
    }


def kept(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((LISTS / f"public_api_{version}.json").read_text(encoding="utf-8"))
    return found


VERSIONS = sorted(path.stem.removeprefix("public_api_") for path in LISTS.glob("public_api_*.json"))


def listed(kind: str) -> list[tuple[str, str]]:
    return [(version, name) for version in VERSIONS for name in sorted(kept(version)[kind])]


@pytest.mark.parametrize(("version", "door"), listed("names"))
def test_names_still_import(version: str, door: str) -> None:
    for package in NEEDED.get(door, ()):
        needs(package)
    module = importlib.import_module(door)
    lost = [name for name in kept(version)["names"][door] if not hasattr(module, name)]
    assert not lost, f"{door} has lost {lost}: deprecate public names first (CONTRIBUTING.md)"


@pytest.mark.parametrize(("version", "name"), listed("parameters"))
def test_calls_are_still_accepted(version: str, name: str) -> None:
    """Every parameter is there, positional ones in their order; a new one has a default value."""
    value = imported(f"avseg:{name.partition('.')[0]}")
    value = getattr(value, name.partition(".")[2]) if "." in name else value
    then, now = kept(version)["parameters"][name], parameters(value)
    positional = [*takewhile(lambda word: not word.startswith("*"), then)]
    assert now[: len(positional)] == positional
    assert set(then) - {"*"} <= set(now)
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    new = [p for p in inspect.signature(value).parameters.values() if p.name not in then and p.kind not in kinds]
    assert [p.name for p in new if p.default is inspect.Parameter.empty] == []


@pytest.mark.parametrize(("version", "name"), listed("members"))
def test_members_are_still_there(version: str, name: str) -> None:
    lost = set(kept(version)["members"][name]) - set(members(imported(f"avseg:{name}")))
    assert not lost, f"avseg.{name} has lost {sorted(lost)}"


@pytest.mark.parametrize("version", VERSIONS)
def test_commands_recipes_and_entry_points_are_still_there(version: str) -> None:
    assert set(kept(version)["commands"]) <= set(commands())
    assert set(kept(version)["recipes"]) <= set(RECIPES)
    assert set(kept(version)["entry_points"]) <= {imported(address).group for address in REGISTRIES}


def test_parameters_are_told_by_kind() -> None:
    def example(a: int, b: int = 0, *, c: int = 0, **rest: int) -> None: ...

    def gathering(a: int, *more: int, c: int) -> None: ...

    assert parameters(example) == ["a", "b", "*", "c", "**rest"]
    assert parameters(gathering) == ["a", "*more", "c"]


if __name__ == "__main__":
    target = LISTS / f"public_api_{sys.argv[1]}.json"
    target.write_text(json.dumps(present(), indent=1) + "\n", encoding="utf-8")
