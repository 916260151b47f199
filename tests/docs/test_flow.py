"""The drawings of data flow (docs/figures/flow.py) are whole, fit their boxes, and stand on a page."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"
IMAGES = DOCS / "images"


def flow_module() -> Any:
    spec = importlib.util.spec_from_file_location("flow", DOCS / "figures" / "flow.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["flow"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


FLOW = flow_module()


def test_the_committed_drawings_are_those_of_the_script(tmp_path: Path) -> None:
    paths = FLOW.make(tmp_path)
    assert {path.name for path in paths} == {path.name for path in IMAGES.glob("flow-*.svg")}
    for path in paths:
        committed = IMAGES / path.name
        assert path.read_bytes() == committed.read_bytes(), f"run python docs/figures/flow.py: {path.name} is old"


@pytest.mark.parametrize("flow", FLOW.FLOWS, ids=lambda flow: flow.name)
def test_a_drawing_is_xml_with_a_background_and_small(flow: Any) -> None:
    text = FLOW.drawn(flow)
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and len(text.encode()) < 30_000
    background = next(child for child in root if child.tag.endswith("rect"))
    assert (background.get("width"), background.get("height")) == (root.get("width"), root.get("height"))


@pytest.mark.parametrize("flow", FLOW.FLOWS, ids=lambda flow: flow.name)
def test_text_fits_into_its_box(flow: Any) -> None:
    for box in flow.boxes:
        title, *details = box.text.split("\n")
        room = box.sides[1] - box.sides[0]
        assert 8.6 * len(title) <= room, title
        assert all(6.8 * len(line) <= room for line in details), details


@pytest.mark.parametrize("flow", FLOW.FLOWS, ids=lambda flow: flow.name)
def test_a_page_shows_the_drawing(flow: Any) -> None:
    name = f"images/flow-{flow.name}.svg"
    assert any(name in page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
