"""The pages of commands, configs and schemas in docs/reference are those that docs/generate.py makes of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from avseg.datasets import DATASETS
from avseg.models import FAMILIES

SCRIPT = Path(__file__).parents[1] / "docs" / "generate.py"


def test_generated_pages_are_up_to_date() -> None:
    if any(registry.source(name) for registry in (FAMILIES, DATASETS) for name in registry):
        pytest.skip("a plug-in is installed, and its options would stand on the pages")
    spec = importlib.util.spec_from_file_location("generate", SCRIPT)
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.stale(generate.pages()) == [], "run python docs/generate.py"
