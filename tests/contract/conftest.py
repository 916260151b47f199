"""Folders of all data sets, written once by the synthetic world."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

OWN: dict[str, dict[str, Any]] = {"aviseg": {"seconds": (6, 9)}}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path | None]:
    """The folder of a data set with a few small clips; None for one in memory."""

    @cache
    def written(name: str) -> Path | None:
        from avseg.datasets import DATASETS
        from avseg.datasets.folders import write

        if DATASETS[name].in_memory:
            return None

        root: Path = tmp_path_factory.mktemp(name)
        write(name, root, 12, seed=3, workers=1, size=(36, 48), **OWN.get(name, {}))
        return root

    return written
