"""Films, and what `avseg predict` makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_films import films, predicted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("films")
    films(made)
    return made


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    ids = [p.relative_to(folder).as_posix() for p in folder.rglob("*.mp4")]
    return predicted(folder, ids, tmp_path_factory.mktemp("expected"))
