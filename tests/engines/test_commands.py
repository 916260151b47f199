"""The page, the service and live streams are computed by what their commands name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import avseg.lazy
from avseg.cli import run
from avseg.commands import live, serve, ui
from avseg.engines import FAST, Choice, records

ENDS = ("avseg.inference.segmenter:Segmenter", "avseg.service.server:serve", "avseg.ui.start:running")
"""What commands hand their words to."""
ASKED = ["--engine", "openvino", "--precision", "bf16"]


class HandedError(Exception):
    """A command has done its part."""


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Filled in place of the work; packages that are wanted are taken for installed."""
    found: list[Any] = []

    class Keeper:
        def __init__(self, *arguments: Any, **named: Any) -> None:
            found.append((arguments, named))
            raise HandedError

        load = classmethod(lambda cls, *arguments, **named: cls(*arguments, **named))

    own = avseg.lazy.imported
    for module in (live, serve, ui):
        monkeypatch.setattr(module, "imported", lambda address: Keeper if address in ENDS else own(address))
    monkeypatch.setattr(serve, "find_spec", lambda name: name)
    monkeypatch.setattr(records, "find_spec", lambda name: name)
    return found


def test_the_page(handed: list[Any]) -> None:
    for words in (["ui"], ["ui", *ASKED]):
        with pytest.raises(HandedError):
            run(words)
    assert [named["choice"] for _, named in handed] == [FAST, Choice("openvino", "bf16")]


def test_the_service(handed: list[Any], tmp_path: Path) -> None:
    words = ["serve", "demo", "--folder", str(tmp_path)]
    for more in ([], ASKED):
        with pytest.raises(HandedError):
            run([*words, *more])
    assert [arguments[0].choice for arguments, _ in handed] == [FAST, Choice("openvino", "bf16")]
    with pytest.raises(ValueError, match="engine onnxruntime has no precision bf16; it has fp32"):
        run([*words, "--engine", "onnxruntime", "--precision", "bf16"])


def test_a_stream(handed: list[Any]) -> None:
    words = ["live", "rtsp://127.0.0.1:1/x", "--model", "demo", "--device", "cpu"]
    for more in ([], ASKED):
        with pytest.raises(HandedError):
            run([*words, *more])
    told = [(named["device"], named["engine"], named["precision"]) for _, named in handed]
    assert told == [("cpu", "auto", "auto"), ("cpu", "openvino", "bf16")]


def test_engines_that_are_missing_are_told_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(records, "find_spec", lambda name: None)
    monkeypatch.setattr("avseg.ui.start.find_spec", lambda name: name)
    for words in (["serve", "demo", "--folder", str(tmp_path)], ["ui", "--port", "0"]):
        with pytest.raises(ImportError, match=r'engine openvino is not installed: pip install "avseg\[fast\]"'):
            run([*words, "--engine", "openvino"])
    assert not list(tmp_path.iterdir())
