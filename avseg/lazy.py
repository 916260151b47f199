"""Lazy imports: addresses such as "module:attribute", and public names of packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def imported(address: str) -> Any:
    """Import the object at "module:attribute"."""
    module, _, attribute = address.partition(":")
    return getattr(importlib.import_module(module), attribute)


def attach(
    package: str, homes: Mapping[str, str], rooms: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562): `__getattr__, __dir__ = attach(__name__, HOMES)`.

    Args:
        package: Its `__name__`.
        homes: Public name to the module that defines it; a module that begins with a dot is of the package.
        rooms: Packages and modules below it that are imported on use as well.
    """

    def getattribute(name: str) -> Any:
        if name in homes:
            value = getattr(importlib.import_module(homes[name], package), name)
        elif name in rooms:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes, *rooms})

    return getattribute, names
