"""Tests of extras are skipped where a package is missing, and fail where all extras are said to be installed."""

from __future__ import annotations

import pytest

import extras


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
