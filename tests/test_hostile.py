"""Spoilt inputs and kills: small campaigns of benchmarks/hostile.py and kill.py, and how they judge."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("hostile")


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("kill")


def campaign(script: str, *words: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(BENCHMARKS / script), *words, "--fresh", "0", "--json", str(folder / "figures.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, capture_output=True, env=environment, check=False)
    found: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return found


@pytest.mark.slow
def test_sixty_spoilt_inputs_end_right(tmp_path: Path) -> None:
    found = campaign("hostile.py", "--count", "60", "--seed", "0", folder=tmp_path)
    assert found["wrong"] == [] and found["cases"] == 60
    assert {one["case"]["kind"] for one in found["all"]} >= {"video", "sound", "picture", "table", "pickle", "recipe"}
    assert found["outcomes"]["right result"] > 5 and found["outcomes"]["refused"] > 5


@pytest.mark.slow
def test_killed_commands_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    found = campaign("kill.py", "--kills", "4", "--seed", "0", folder=tmp_path)
    assert found["wrong"] == [] and found["kills"] >= 4


def ended(hostile: ModuleType, code: int = 1, out: str = "", err: str = "", **more: Any) -> Any:
    return hostile.forked.Ended(code=code, cpu=0.1, used=more.pop("used", 1 << 20), out=out, err=err, **more)


def test_wrong_endings_are_told_apart(hostile: ModuleType) -> None:
    def outcome(*words: Any, **values: Any) -> str | None:
        found = hostile.judge(ended(hostile, *words, **values))
        return None if found is None else str(found[0])

    traceback = "Traceback (most recent call last):\n  File ...\nIndexError: pop from empty list\n"
    assert outcome(1, err=traceback) == outcome(0, err=traceback) == "traceback"
    assert outcome(1, err="avseg: unexpected KeyError: 'kind'; set AVSEG_DEBUG=1 to see more\n") == "traceback"
    assert outcome(1) == outcome(2) == outcome(1, err="avseg: 'kind'\n") == "no sentence"
    assert outcome(1, err="avseg: a list that is much too long\n" + "and on\n" * 9) == "no sentence"
    assert outcome(3) == outcome(-signal.SIGTERM) == "status"
    assert outcome(-signal.SIGSEGV) == hostile.OUTSIDE and outcome(-signal.SIGXCPU, too_long=True) == "hang"
    assert outcome(0, used=1 << 40) == "memory"
    assert outcome(0) is None and outcome(1, err="log\navseg: the picture a.png is missing\n") is None
    assert outcome(1, out="1 clips made, 0 finished before, 1 failed\n") is None


def test_what_is_left_or_does_not_open_is_found(hostile: ModuleType, tmp_path: Path) -> None:
    good = {"a.json": b"{}", "b.csv": b"x\n", "c.txt": b"\xff"}
    for name, content in good.items():
        (tmp_path / name).write_bytes(content)
    assert hostile._open_all(tmp_path) == 0
    for name, content in (("d.json", b"{"), ("d.png", b"\x89PNG"), ("d.wav", b"RIFF"), ("d.npz", b""), ("d.mp4", b"x")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="does not open"):
            hostile._open_all(tmp_path)
        (tmp_path / name).unlink()


def test_the_same_seed_spoils_the_same_way(hostile: ModuleType) -> None:
    changes = importlib.import_module("hostile_changes")
    content = bytes(range(256)) * 20
    spoilt = [changes.spoilt(content, Random(seed), [content[::-1]]) for seed in range(50)]
    assert spoilt == [changes.spoilt(content, Random(seed), [content[::-1]]) for seed in range(50)]
    assert sum(one != content for one in spoilt) > 30
    table = b"name,split\na,train\nb,val\n"
    value = json.dumps({"videos": [{"id": 1, "names": ["a", "b"]}], "x": 2.5}).encode()
    for how, whole in ((changes.spoilt_table, table), (changes.spoilt_json, value)):
        assert len({how(whole, Random(seed)) for seed in range(50)} - {whole}) > 20


def test_trees_are_compared_file_by_file(kill: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "summary.json").write_text('{"steps": 3, "seconds_since_resume": 1.5}')
    before = kill.digests(tmp_path)
    (tmp_path / "summary.json").write_text('{"steps": 3, "seconds_since_resume": 9.5}')
    assert kill.differences(before, kill.digests(tmp_path)) == ()
    (tmp_path / "summary.json").write_text('{"steps": 4, "seconds_since_resume": 9.5}')
    (tmp_path / "a").unlink()
    (tmp_path / ".b.part").write_bytes(b"2")
    found = kill.differences(before, kill.digests(tmp_path))
    assert found == ("missing: a", "too many: .b.part", "differs: summary.json")


def test_a_stop_by_sigterm_has_its_status_its_word_and_leaves_nothing(kill: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    (folder / "out").mkdir(parents=True)

    def told(text: str, status: int = 130) -> tuple[str, ...]:
        (tmp_path / "killed.err").write_text(text, encoding="utf-8")
        return tuple(kill.left_behind(status, folder))

    assert told("train 3/8\navseg: stopped\n") == told("", -signal.SIGTERM) == ()
    traceback = "Traceback (most recent call last):\nKeyboardInterrupt\navseg: stopped\n"
    for wrong in (told(""), told(traceback), told("avseg: stopped\n", 1), told("avseg: stopped\n", -signal.SIGKILL)):
        assert len(wrong) == 1 and wrong[0].startswith("a stopped start ended with")
    (folder / "out" / ".best.0-1-2.part.safetensors").touch()
    assert told("avseg: stopped\n") == ("left: .best.0-1-2.part.safetensors",)
