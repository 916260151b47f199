"""What a killed process has left half-written in a data set's folder is gone once a command writes there again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avseg.datasets.folders import prepare, write
from avseg.datasets.vpo.build import build_vpo

DIES = """
import os, sys
from pathlib import Path
from avseg.io.files import write_aside, write_folder_aside
root = Path(sys.argv[1])
with write_aside(root / "a" / "b" / "sound.wav") as sound, write_folder_aside(root / "a" / "frames") as frames:
    sound.write_text("half")
    (frames / "1.png").write_text("half")
    os._exit(0)
"""
COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    "prepare": lambda raw, out: prepare("s4", raw, out),
    "prepare aviseg": lambda raw, out: prepare("aviseg", raw, out),
    "build-vpo": lambda raw, out: build_vpo("ss", raw / "instances.json", raw, raw / "sounds.csv", out),
    "synth": lambda raw, out: write("s4", out, 0, 0),
    "synth vpo": lambda raw, out: write("vpo_ss", out, 0, 0),
    "synth aviseg": lambda raw, out: write("aviseg", out, 0, 0),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_next_run_clears_what_a_killed_one_left(name: str, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    subprocess.run([sys.executable, "-c", DIES, str(out)], check=True)
    (out / "a" / "kept.part.wav").write_text("a file of the user")
    assert len(list(out.rglob(".*.part*"))) == 2
    with pytest.raises((ValueError, FileNotFoundError)):  # there is nothing to be read or written
        COMMANDS[name](raw, out)
    assert [path.name for path in out.rglob("*") if ".part" in path.name] == ["kept.part.wav"]
