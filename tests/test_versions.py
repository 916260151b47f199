"""The version, the changelog, the citation and the package's metadata agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from avseg.version import __version__

ROOT = Path(__file__).parents[1]


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_changelog_has_unreleased_and_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", __version__]


def test_citation_has_this_version() -> None:
    found = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None and found[1] == __version__


def test_the_lowest_python_is_the_first_that_is_named() -> None:
    named = [c.rsplit(" ", 1)[1] for c in project()["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert project()["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("name", ["test", "dev", "docs"])
def test_every_requirement_has_a_lower_bound(name: str) -> None:
    wanted = [*project()["dependencies"], *project()["optional-dependencies"][name]]
    assert [w for w in wanted if not w.startswith("avseg[") and ">=" not in w and "==" not in w] == []


def test_the_list_of_this_version_s_public_names_is_there() -> None:
    minor = ".".join(__version__.split(".")[:2])
    assert (ROOT / f"tests/golden/house/public_api_{minor}.json").is_file()
