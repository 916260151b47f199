"""JSON that is nested too deep, or holds endless numbers, is refused by every reader in one sentence with its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from avseg.datasets.aviseg.truth import read_truth
from avseg.datasets.vpo.build.instances import read_instances
from avseg.datasets.vpo.build.persons import Persons, read_persons
from avseg.datasets.vpo.build.sounds import read_class_map

READERS: dict[str, Callable[[Path], object]] = {
    "truth": read_truth,
    "instances": lambda path: read_instances(path, ["bird"], Persons(), 0.01),
    "persons": lambda path: read_persons(path, None),
    "captions": lambda path: read_persons(None, path),
    "class map": read_class_map,
}


@pytest.mark.parametrize("name", READERS)
def test_deep_nesting_is_refused(name: str, tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"videos": ' + "[" * 100_000, '{"a":' * 100_000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match=r"a\.json"):
            READERS[name](tmp_path / "a.json")


def test_endless_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"videos": [], "categories": [{"id": Infinity, "name": "x"}], "annotations": []}')
    with pytest.raises(ValueError, match=r"a\.json is not a complete file of ground truth"):
        read_truth(tmp_path / "a.json")
