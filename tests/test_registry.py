"""Records by name: ours, those of packages, those of modules on the path."""

from __future__ import annotations

from pathlib import Path

import pytest

from avseg import registry
from avseg.registry import PLUGINS, Registry

OWN = {"near": "avseg.config:InputSpec"}


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Registry[object]:
    monkeypatch.delenv(PLUGINS, raising=False)
    return Registry("thing", "avseg.things", OWN)


def test_own_records_are_imported_on_use(records: Registry[object]) -> None:
    from avseg.config import InputSpec

    assert records["near"] is InputSpec and list(records) == ["near"] and records.source("near") is None


def test_added_records_are_found_and_may_not_take_a_name_of_ours(records: Registry[object]) -> None:
    records.add("mine", 3)
    assert records.find("mine") == 3 and list(records) == ["near", "mine"] and len(records) == 2
    with pytest.raises(ValueError, match="there is a thing 'near' already"):
        records.add("near", 4)


def test_an_unknown_name_is_one_sentence_with_the_nearest(records: Registry[object]) -> None:
    with pytest.raises(ValueError, match=r"there is no thing 'nera'; did you mean 'near'\?"):
        records.find("nera")


def test_a_module_on_the_path_adds_records(
    records: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugged_in_here.py").write_text(f"from {__name__} import HOOK\nHOOK()\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(PLUGINS, "plugged_in_here")
    import sys
    import types

    holder = types.ModuleType("test_registry")
    holder.HOOK = lambda: records.add("mine", 3)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, __name__, holder)
    assert "mine" in records and records["mine"] == 3


def test_a_plugin_that_cannot_be_imported_is_one_sentence(
    records: Registry[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLUGINS, "no_such_module_anywhere")
    registry._import_plugin.cache_clear()
    with pytest.raises(ValueError, match="the plug-in no_such_module_anywhere cannot be imported"):
        records.find("mine")
