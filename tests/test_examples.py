"""Every public name has a place in docs/reference/api, and the examples of the docstrings there run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import avseg

PAGES = Path(__file__).parents[1] / "docs" / "reference" / "api"
NAMES = re.findall(
    r"^::: (\S+)", "\n".join(page.read_text("utf-8") for page in sorted(PAGES.glob("*.md"))), re.MULTILINE
)
DOORS = (
    *("avseg", "avseg.batch", "avseg.data", "avseg.datasets", "avseg.engine", "avseg.engines", "avseg.export"),
    *("avseg.inference", "avseg.live", "avseg.losses", "avseg.metrics", "avseg.models", "avseg.recipes"),
    *("avseg.synth", "avseg.weights"),
)
ELSEWHERE = {"avseg.weights.RECORDS"}
"""Public names that another page has: docs/how-to/weights.md."""
WITH_EXAMPLES = {f"avseg.{name}" for name in avseg.__all__} - {"avseg.__version__"}


def named(path: str) -> Any:
    """What stands at a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def functions_of(path: str) -> list[tuple[str, Callable[..., Any]]]:
    """A function, or the public methods of a class with its constructor, by their names."""
    found = named(path)
    if not inspect.isclass(found):
        return [(path, found)] if inspect.isroutine(found) else []
    own = [(name, value) for name, value in vars(found).items() if name == "__init__" or not name.startswith("_")]
    bare = [(name, getattr(value, "__func__", value)) for name, value in own]
    return [(f"{path}.{name}", value) for name, value in bare if inspect.isfunction(value)]


@pytest.mark.parametrize("door", DOORS)
def test_every_public_name_has_a_place_in_the_reference(door: str) -> None:
    public = [name for name in importlib.import_module(door).__all__ if name != "__version__"]
    documented = {id(named(path)) for path in NAMES}
    missing = [
        name for name in public if f"{door}.{name}" not in NAMES and id(named(f"{door}.{name}")) not in documented
    ]
    assert [name for name in missing if f"{door}.{name}" not in ELSEWHERE] == []


@pytest.mark.parametrize("path", NAMES)
def test_arguments_in_docstrings_are_those_of_the_signature(path: str) -> None:
    for name, function in functions_of(path):
        section = re.search(r"^Args:\n(.*?)(?:^\S|\Z)", inspect.getdoc(function) or "", re.MULTILINE | re.DOTALL)
        told = re.findall(r"^    ([^ :][^:]*):", section[1], re.MULTILINE) if section else []
        assert set(told) <= set(inspect.signature(function).parameters), name


@pytest.mark.parametrize("path", NAMES)
def test_examples_give_what_they_say(path: str) -> None:
    found = named(path)
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        return
    tests = [test for test in doctest.DocTestFinder(recurse=True).find(found, path) if test.examples]
    assert tests or path not in WITH_EXAMPLES, f"{path} has no Examples:"
    for test in tests:
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF).run(test)
        assert result.failed == 0, f"{test.name}: see the output"
