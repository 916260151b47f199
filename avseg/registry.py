"""Records by name: families, data sets, suites and recipes, ours and those of other packages. Imports no torch.

A record stands in a module of its room and is imported when somebody asks for it. Another package adds records by an
entry point of the registry's group, NAME = "MODULE:RECORD"; a module on the path adds them while it is imported, by
`Registry.add`, where `--plugin MODULE` or the variable AVSEG_PLUGINS names it (docs/how-to/extending.md).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from avseg.config import did_you_mean

T = TypeVar("T")

PLUGINS = "AVSEG_PLUGINS"
"""Environment variable: modules or .py files to import before names are looked up, separated as in PATH. Processes that
a command starts inherit it."""


@dataclass(frozen=True)
class Origin:
    """Where a record comes from."""

    package: str
    """Distribution that brings it; empty for a module that `--plugin` named."""
    version: str


class Registry(Mapping[str, T], Generic[T]):
    """Records by name, imported on use.

    Args:
        what: What the records are in a sentence, such as "model family".
        group: The group of entry points by which other packages add records.
        own: Name to "module:attribute" of our records; one line each.
    """

    def __init__(self, what: str, group: str, own: Mapping[str, str]) -> None:
        self.what, self.group, self._own = what, group, dict(own)
        self._added: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        """The record of that name.

        Raises:
            KeyError: there is none; `find` says which are near.
            ValueError: a plug-in that cannot be imported.
        """
        if name in self._own:
            module, attribute = self._own[name].split(":")
            record: T = getattr(importlib.import_module(module), attribute)
            return record
        import_plugins()
        if name in self._added:
            return self._added[name]
        entry = self._entries()[name]
        try:
            outside: T = entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else entry.value
            raise ValueError(
                f"the {self.what} {name!r} of the package {package} cannot be imported: {error}"
            ) from error
        return outside

    def __iter__(self) -> Iterator[str]:
        """All names: ours, then those of other packages, then those that were added."""
        import_plugins()
        yield from dict.fromkeys((*self._own, *sorted(self._entries()), *self._added))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def find(self, name: str) -> T:
        """The record of that name.

        Raises:
            ValueError: there is none, with the nearest name; or a plug-in that cannot be imported.
        """
        if name not in self:
            raise ValueError(f"there is no {self.what} {name!r}; {did_you_mean(name, self)}")
        return self[name]

    def __contains__(self, name: object) -> bool:
        if name in self._own:
            return True
        import_plugins()
        return name in self._added or name in self._entries()

    def add(self, name: str, record: T) -> None:
        """Add a record of a module outside avseg; the same name again replaces it.

        Raises:
            ValueError: the name of a record of avseg or of an installed package.
        """
        if name in self._own or name in self._entries():
            raise ValueError(f"there is a {self.what} {name!r} already; give yours another name")
        self._added[name] = record

    def source(self, name: str) -> Origin | None:
        """Where a record comes from; None for ours."""
        if name in self._own:
            return None
        entry = self._entries().get(name)
        return Origin(entry.dist.name, entry.dist.version) if entry and entry.dist else Origin("", "")

    def _entries(self) -> dict[str, EntryPoint]:
        return {name: entry for name, entry in _entries_of(self.group).items() if name not in self._own}


@cache
def _entries_of(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def add_plugin(name: str) -> None:
    """Import a plug-in from now on, here and in processes that this one starts.

    Args:
        name: A module on the Python path or in the current folder, or a path that ends in `.py`.

    Raises:
        ValueError: it cannot be imported.
    """
    if name.endswith(".py"):
        name = str(Path(name).resolve())
    _import_plugin(name, "--plugin")
    names = [*filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)), name]
    os.environ[PLUGINS] = os.pathsep.join(dict.fromkeys(names))


def import_plugins() -> None:
    """Import the modules that `AVSEG_PLUGINS` names, which add their records.

    Raises:
        ValueError: one that cannot be imported.
    """
    for name in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
        _import_plugin(name)


@cache
def _import_plugin(name: str, given: str = f"the variable {PLUGINS}") -> None:
    path = Path(name).resolve() if name.endswith(".py") else None
    if path and not path.is_file():
        raise ValueError(f"the plug-in {name} cannot be imported: {path.parent} has no such file; {given} names it")
    folder = path.parent if path else Path.cwd()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    try:
        module = importlib.import_module(path.stem if path else name)
    except Exception as error:
        raise ValueError(
            f"the plug-in {name} cannot be imported ({error}); {given} wants a module on the Python path or a .py file"
        ) from error
    if path and Path(module.__file__ or "").resolve() != path:
        raise ValueError(f"the plug-in {name} cannot be imported: there is another module {path.stem}; rename the file")
