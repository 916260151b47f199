"""What stays as it is while the house is rebuilt: no new circles, no new names in shared code, the same public face."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

import avseg
from avseg.config import to_dict
from avseg.recipes import RECIPES, get_recipe
from house_graph import ROOT, circles, files, imports, named, tree_of

SNAPSHOTS = Path(__file__).parent / "golden" / "house"
DOORS = ("avseg", "avseg.data", "avseg.engine", "avseg.inference", "avseg.metrics", "avseg.models", "avseg.recipes")

FAMILIES = {"avism", "avsegformer", "catr", "cavp", "qdformer", "tpavi", "zeroshot"}
SETS = {"s4", "ms3", "avs_1s7m", "avss", "single", "vpo_ss", "vpo_ms", "vpo_msmi", "aviseg", "synth"}


def test_no_circles_at_the_top_of_modules() -> None:
    assert circles(inside=False) == []


def test_no_circles_through_imports_inside_functions() -> None:
    assert circles(inside=True) == []


def test_imports_inside_functions_stay_few() -> None:
    """They are for libraries that not every machine has, and for doors that load no torch."""
    inside = sum(len(imports(p, inside=True)) - len(imports(p, inside=False)) for p in files())
    assert inside <= 48


def snapshot(name: str) -> Any:
    return json.loads((SNAPSHOTS / name).read_text(encoding="utf-8"))


REPLACED: dict[str, set[str]] = {
    "avseg.inference": {"windows", "Report"},
    "avseg.models": {"MODELS", "config_class", "model_class"},
}
"""Names that gave way to better ones, by door."""


@pytest.mark.parametrize("door", DOORS)
def test_public_names_stay(door: str) -> None:
    module = importlib.import_module(door)
    gone = set(snapshot("public_names.json")[door]) - set(getattr(module, "__all__", ())) - REPLACED.get(door, set())
    assert not gone, f"{door} has lost {sorted(gone)}"


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict) or not values:
        return {prefix: values}
    return {k: v for key, inner in values.items() for k, v in flat(inner, f"{prefix}.{key}" if prefix else key).items()}


@pytest.mark.parametrize("name", sorted(snapshot("recipes.json")["recipes"]))
def test_recipes_say_what_they_said(name: str) -> None:
    """Every setting has the value it had; a setting that does not belong to a recipe's data set or model may go."""
    kept = snapshot("recipes.json")
    recipe = get_recipe(name)
    then = {**kept["defaults"], **kept["families"][type(recipe.model).family], **kept["recipes"][name]}
    here = f"{Path(avseg.__file__).parents[1].as_posix()}/"
    now = flat(json.loads(json.dumps({"family": type(recipe.model).family, **to_dict(recipe)}).replace(here, "")))
    changed = {key: (then[key], value) for key, value in now.items() if key in then and then[key] != value}
    gone = {
        key: value
        for key, value in kept["recipes"][name].items()
        if key not in now and value != kept["defaults"].get(key.replace("val.", "data.", 1))
    }
    assert not changed
    assert not gone


def test_no_recipe_is_gone() -> None:
    assert set(snapshot("recipes.json")["recipes"]) <= set(RECIPES)


def outside_rooms(path: Path) -> bool:
    """Recipes, the tables that list rooms, and rooms themselves may name families and data sets.

    A metric suite and a protocol may be called as the data set or the family that they come from.
    """
    room, *rest = path.relative_to(ROOT).parts
    if room == "models":
        return rest[0] != "__init__.py" and rest[0] not in FAMILIES
    return room not in ("recipes", "datasets", "metrics")


ALSO_WORDS = {"__init__.py": {"synth"}, "commands/data.py": {"synth"}}
"""A package and a command are called as the data set of the synthetic world."""


def test_shared_code_names_no_family_and_no_data_set() -> None:
    found = {}
    for path in filter(outside_rooms, files()):
        here = path.relative_to(ROOT).as_posix()
        found[here] = list(named(path, (FAMILIES | SETS) - ALSO_WORDS.get(here, set())))
    assert len(found) > 100
    assert {path: names for path, names in found.items() if names} == {}


def test_no_two_rooms_have_a_class_of_one_name() -> None:
    places: dict[str, list[str]] = {}
    for path in files():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
