"""Tests of extras are skipped where a package is missing, and fail where all extras are said to be installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import extras

ROOT = Path(__file__).parents[1]
NO_TOOLS = ("pip ", "python .ci/", "(cd ", "test ")


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)


def test_a_missing_extra_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVSEG_EXTRAS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"pip install 'avseg\[wandb\]'"):
        extras.needs("wandb")


def test_missing_readers_skip_or_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVSEG_EXTRAS", raising=False)
    monkeypatch.delenv("AVSEG_READERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"readers\.txt"):
        extras.readers()
    monkeypatch.setenv("AVSEG_EXTRAS", "all")
    with pytest.raises(pytest.fail.Exception, match="AVSEG_READERS is ''"):
        extras.readers()


def test_a_missing_extra_fails_where_all_are_said_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSEG_EXTRAS", "all")
    with pytest.raises(pytest.fail.Exception, match="wandb is not installed"):
        extras.needs("wandb")


def test_every_tool_of_the_gate_comes_from_an_extra() -> None:
    """A step of `.ci/run` fails in a clean environment where its tool is only in the one of whoever wrote it."""
    brought = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[\[<>=~!]", line)[0] for lines in brought["optional-dependencies"].values() for line in lines}
    gate = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    lines = [line for line in gate[gate.index('step "package"') :] if not line.startswith(("#", "step", " "))]
    called = {line.removeprefix("python -m ").split()[0] for line in lines if not line.startswith(NO_TOOLS)}
    assert {"build", "twine", "ruff", "codespell", "mypy", "zensical"} <= called
    assert called <= named, f"no extra of pyproject.toml brings {sorted(called - named)}"
