"""Doors of packages: names come from their modules, on use, and no others."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

DOORS = (
    "",
    ".data",
    ".engine",
    ".inference",
    ".jobs",
    ".live",
    ".losses",
    ".metrics",
    ".models",
    ".datasets.vpo.build",
    ".synth",
)

SHADOWED = {("avseg.inference", "windows")}
"""Names that a module below the door bears as well: once that is imported, it stands in their place."""


@pytest.mark.parametrize("door", [f"avseg{room}" for room in DOORS])
def test_every_name_of_a_door_is_there_and_others_are_not(door: str) -> None:
    package = importlib.import_module(door)
    assert package.__all__
    for name in package.__all__:
        value = getattr(package, name)
        assert getattr(package, name) is value and name in dir(package)
        home = package._HOMES.get(name)
        if home is not None and (door, name) not in SHADOWED:
            assert getattr(importlib.import_module(home, door), name) is value
    with pytest.raises(AttributeError, match=f"module '{door}' has no attribute 'Segmentr'"):
        package.Segmentr  # noqa: B018


def test_a_door_lists_its_names_before_they_are_imported() -> None:
    code = "import sys, avseg; assert {'Segmenter', 'data'} <= {*dir(avseg)}; print('avseg.data' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
