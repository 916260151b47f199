"""The picture of rooms in docs/explanation/architecture.md is true: every import goes to a row below."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from house_graph import ROOT, files, imports, module_of

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "architecture.md"
RECORDS = {
    "models(records)": ("models", "models.spec", "models.record", "models.keys"),
    "metrics(records)": ("metrics", "metrics.suites"),
    "datasets(records)": ("datasets", "datasets.spec", "data.config", "data.scenarios"),
}
"""Modules that hold records and their registries."""


def rows() -> list[list[str]]:
    """The picture, the lowest row first."""
    found = re.search(r"```rooms\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return [line.split() for line in reversed(found[1].strip().splitlines())]


def room_of(module: str) -> str:
    """The room of a module; empty for the door of the package itself."""
    name = module.removeprefix("avseg").lstrip(".")
    if name in ("", "__main__"):
        return ""
    for room, names in RECORDS.items():
        if name in names or name.startswith("metrics.suites."):
            return room if name in names else "metrics(records)"
    parts = name.split(".")
    inside = len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir()
    candidates = [f"{parts[0]}/*/{parts[2]}" if inside and len(parts) > 2 else "", f"{parts[0]}/*" * inside, parts[0]]
    found = [room for room in candidates if any(room in row for row in rows())]
    assert found, f"{module} stands in no room of docs/explanation/architecture.md"
    return found[0]


@pytest.mark.parametrize("path", files(), ids=lambda p: module_of(p))
def test_imports_go_to_rooms_below(path: Path) -> None:
    height = {room: number for number, row in enumerate(rows()) for room in row}
    own = room_of(module_of(path))
    if not own:
        return
    others = {module: room_of(module) for module in set(imports(path, inside=True)) - {"avseg"}}
    wrong = {module for module, room in others.items() if room != own and height[room] >= height[own]}
    assert not wrong, f"{own} imports {sorted(wrong)}, which do not stand below it"


def test_every_room_of_the_picture_is_there() -> None:
    seen = {room_of(module_of(path)) for path in files()}
    assert {room for row in rows() for room in row} <= seen
