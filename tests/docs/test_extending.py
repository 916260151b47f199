"""The files of the page on extending avseg work, and so do its commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from avseg.synth import VideoSpec, make_video
from avseg.synth.video import write_movie

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "extending.md").read_text("utf-8")
FILES = ("mine.py", "tones.py")
COMMANDS = """
import shlex, sys
from avseg.cli import run
for line in sys.stdin:
    print("$", line, end="", flush=True)
    assert run(shlex.split(line)[1:]) == 0, line
"""


def written(name: str) -> str:
    """What the page says of a file; a block begins with its name."""
    return "".join(re.findall(rf"^```python\n(# {re.escape(name)}\n.*?)^```", PAGE, re.M | re.S))


def commands() -> list[str]:
    """The lines of avseg on models of `mine.py`, without what they say to people."""
    shell = "".join(re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)).replace("\\\n", " ")
    lines = [shlex.join(shlex.split(line, comments=True)) for line in shell.splitlines()]
    return [line for line in lines if line.startswith("avseg") and "mine" in line]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short(name: str) -> None:
    assert 0 < len(written(name).splitlines()) <= 60


def test_the_files_and_commands_work_together(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text(written(name), "utf-8")
    write_movie(tmp_path / "film.mp4", make_video(1, 2, VideoSpec(seconds=(2, 2), size=(96, 128))))
    assert len(commands()) >= 5
    shorter = {"synth --data.kind": "synth --data.held-out-clips 4 --data.size 64 --data.kind"}
    given = "\n".join(commands())
    for long, short in shorter.items():
        given = given.replace(long, short)
    ran = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input=given + "\n",
        cwd=tmp_path,
        env={**os.environ, "AVSEG_PLUGINS": os.pathsep.join(FILES)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "suite marked, protocol plain" in ran.stdout and "marked/plain/share" in ran.stdout
    assert (tmp_path / "avseg-out" / "film" / "result.json").is_file()
