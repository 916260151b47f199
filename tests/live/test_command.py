"""`avseg live` as somebody runs it: its sentences, Ctrl-C, and a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avseg.cli import run
from avseg.io.media import probe
from avseg.io.pictures import Pictures
from avseg.io.video_sound import read_audio
from served_films import flashes


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flashes(tmp_path_factory.mktemp("film") / "flashes.mp4", 30.0)


def started(film: Path, out: Path) -> subprocess.Popen[str]:
    """A run that has written some seconds."""
    words = ["live", str(film), "--model", "demo", "--out", str(out), "--device", "cpu"]
    process = subprocess.Popen([sys.executable, "-m", "avseg", *words], stdout=-1, stderr=subprocess.STDOUT, text=True)
    for _ in range(1200):
        time.sleep(0.05)
        if process.poll() is not None or (out.exists() and out.stat().st_size > 4_000):
            break
    return process


def test_somebody_stops_it_and_the_file_is_whole(film: Path, tmp_path: Path) -> None:
    process = started(film, tmp_path / "live.mp4")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    assert "pictures masked" in said and "latency" in said and "Traceback" not in said
    pictures, sound = list(Pictures(tmp_path / "live.mp4", warn=False)), read_audio(tmp_path / "live.mp4")
    assert pictures and sound is not None
    assert sound[0].shape[1] / sound[1] == pytest.approx(pictures[-1][0], abs=1.0)


def test_a_killed_one_leaves_a_file_that_plays(film: Path, tmp_path: Path) -> None:
    process = started(film, tmp_path / "live.mp4")
    process.kill()
    process.communicate()
    assert probe(tmp_path / "live.mp4").sound is not None
    assert len(list(Pictures(tmp_path / "live.mp4", warn=False))) > 0


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    here = tmp_path / "there.mp4"
    here.write_bytes(b"film")
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    for words, said in [
        (["rtsp://127.0.0.1:1/x", "--model", "zeroshot"], "need the whole video before they predict"),
        (["nothing.mp4", "--model", "demo"], "neither a file nor an address"),
        (["--model", "demo"], "there is no video source"),
        ([str(here), "--model", "demo", "--out", str(here)], "already exists"),
        ([str(here), "--model", "demo", "--out", str(here), "--overwrite"], "is the source itself"),
        ([str(here), "--model", "demo", "--out", str(folder), "--overwrite"], "is a folder; give the name"),
        ([str(here), "--model", "demo", "--out", str(here / "a" / "b.mp4")], "no new file can be created in"),
        ([str(here), "--model", "demo", "--seconds", "nan"], "seconds is nan"),
        ([str(here), "--model", "demo", "--seconds", "-1"], "seconds is -1"),
        ([str(here), "--model", "demo", "--patience", "-5"], "patience is -5"),
    ]:
        with pytest.raises(ValueError, match=said):
            run(["live", *words])
    assert here.read_bytes() == b"film"
