"""Pictures exist, are small and are used; the tables of models and llms.txt are what their records give."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.models import FAMILIES, build_model
from avseg.nn.empty import WithoutInitialisation
from avseg.recipes import RECIPES, get_recipe
from avseg.weights import RECORDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
RECORDED = tomllib.loads((DOCS / "models.toml").read_text(encoding="utf-8"))
LARGEST = 1_000_000
"""Bytes of a picture."""


def pictures_of(page: Path) -> list[Path]:
    """The files of this repository that a page shows."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", text) + re.findall(r"<img[^>]* src=\"([^\"]+)\"", text)
    return [(page.parent / target).resolve() for target in found if not re.match(r"https?:|data:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_shows_pictures_that_exist_and_say_what_they_show(page: Path) -> None:
    assert all(path.is_file() for path in pictures_of(page)), pictures_of(page)
    assert "![](" not in page.read_text(encoding="utf-8")


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert sizes and max(sizes.values()) <= LARGEST, sizes


def test_every_picture_is_shown_somewhere() -> None:
    shown = {path for page in PAGES for path in pictures_of(page)}
    assert {path for path in (DOCS / "images").iterdir() if path.resolve() not in shown} == set()


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    pytest.importorskip("yaml")
    return runpy.run_path(str(DOCS / "make_tables.py"))


def test_tables_and_llms_are_up_to_date(tables: dict[str, Any]) -> None:
    """If this fails: python docs/make_tables.py"""
    for path, text in tables["written"]().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date; run: python docs/make_tables.py"


def test_every_setting_is_a_recipe_with_a_source_for_its_figures() -> None:
    known = {record.name: record for record in RECORDS}
    for row in RECORDED["row"]:
        family = get_recipe(row["recipe"]).model.family
        assert row["recipe"] in RECIPES and family in {one["name"] for one in RECORDED["family"]}
        assert ("figures" in row) == ("source" in row) == ("protocol" in row)
        assert row.get("source", next(iter(RECORDED["sources"]))) in RECORDED["sources"]
        if "weights" in row:
            assert known[row["weights"]].family == family
            assert known[row["weights"]].backbone == getattr(get_recipe(row["recipe"]).model, "backbone", "")


def test_every_method_and_all_its_published_weights_are_listed() -> None:
    assert [one["name"] for one in RECORDED["family"]] != [] and len(RECORDED["family"]) == len(FAMILIES)
    named = {row.get("weights") for row in RECORDED["row"]}
    methods = {one["name"] for one in RECORDED["family"]}
    left_out = {
        record.name
        for record in RECORDS
        if record.family in methods and record.published and not record.name.endswith("_older")
    } - named
    assert left_out == set()


@pytest.mark.parametrize("recipe", ["tpavi_s4_r50", "avism_r50"])
def test_parameters_are_those_of_the_model(recipe: str, tables: dict[str, Any]) -> None:
    config = get_recipe(recipe).model
    task = FAMILIES[config.family].presets["s4" if config.family == "tpavi" else "r50"].task  # type: ignore[attr-defined]
    with torch.device("meta"), WithoutInitialisation():
        model = build_model(config, task)
    learn = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert tables["parameters"](recipe) == (learn, sum(one.numel() for one in model.parameters()) - learn)


def test_all_settings_are_counted(tables: dict[str, Any]) -> None:
    """If this fails: python benchmarks/model_table.py --count"""
    assert set(tables["measured"]()["rows"]) == {row["recipe"] for row in RECORDED["row"]}
