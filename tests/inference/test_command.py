"""`avseg predict` as a program: names, defaults, signals, what reaches the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avseg.cli import run
from avseg.inference import Segmenter
from avseg.models import load_model
from inference.media import counting, make, tone
from inference.recordings import record

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make(tmp_path / "band.mp4", counting(20), sound=tone(2, 16000))


def test_demo_is_a_model_everywhere(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", str(video), "--model", "demo", "--out", str(tmp_path / "out"), "--no-overlay"]) == 0
    found = json.loads((tmp_path / "out" / "band" / "result.json").read_text(encoding="utf-8"))
    segmenter = Segmenter.load("demo")
    assert found["model"]["name"] == segmenter.name == "demo" and found["fps"] == segmenter.fps == 5.0
    assert found["model"]["fingerprint"] == segmenter.describe()["fingerprint"]
    assert load_model("demo").config == segmenter.model.config
    assert len(found["frames"]) == len(segmenter.predict(video).frames) == 10
    assert (
        capsys.readouterr().out.strip() == f"1 segmented, 0 already there, 0 failed; results are in {tmp_path / 'out'}"
    )


def test_a_path_that_is_called_demo_is_named_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert load_model("demo").config.family == "tpavi"
    with pytest.raises(FileNotFoundError, match=r"there is no model file demo"):
        load_model("./demo")


def spoilt(folder: Path) -> Path:
    """A transport stream with damaged pictures, of which FFmpeg's decoder complains in many lines."""
    path = record(folder / "spoilt.ts", 3)
    content = bytearray(path.read_bytes())
    for place in range(4000, len(content) - 4000, 1711):
        content[place] ^= 0x55
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("verbose", [False, True])
def test_ffmpeg_s_own_lines_are_shown_on_demand_alone(tmp_path: Path, verbose: bool) -> None:
    path = spoilt(tmp_path)
    words = ["predict", str(path), "--model", "demo", "--out", str(tmp_path / "out"), "--fps", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "avseg", *words, *["--verbose"] * verbose], capture_output=True, text=True, env=ENV
    )
    assert done.returncode == 0, done.stderr
    assert ("MB" in done.stderr or "corrupt" in done.stderr) is verbose
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert verbose or len(lines) == len(set(lines)) <= 6
    found = json.loads((tmp_path / "out" / "spoilt" / "result.json").read_text(encoding="utf-8"))
    assert found["video"]["damaged_packets"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM for other processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_and_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    video = make(tmp_path / "long.mp4", counting(30) * 40, sound=tone(60, 16000))
    out = tmp_path / "out"
    words = ["predict", str(video), "--model", "demo", "--out", str(out), "--fps", "20"]
    process = subprocess.Popen([sys.executable, "-m", "avseg", *words], stderr=subprocess.PIPE, text=True, env=ENV)
    deadline = time.monotonic() + 300
    while not (out.is_dir() and any(out.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [path.suffix for path in out.iterdir()] == [".part"]
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130 and "avseg: stopped" in told and "Traceback" not in told, told
    assert list(out.iterdir()) == []
