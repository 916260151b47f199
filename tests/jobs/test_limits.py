"""Files above a limit are refused by their header: quickly, in little memory, with one sentence, in another process."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avseg.jobs import Checker, JobError, Limits
from inference.media import counting, make, tone


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checker]:
    made = Checker(Limits(bytes=1_000_000, seconds=60.0, pixels=1920 * 1080))
    made.check(make(tmp_path_factory.mktemp("videos") / "good.mp4", counting(5), sound=tone(0.5, 16000)))
    yield made
    made.close()


def claims(path: Path, width: int, height: int) -> Path:
    """A small AVI whose header states another size."""
    make(path, counting(3), video=("rawvideo", "bgr24"))
    content = path.read_bytes()
    place = content.index(b"strf") + 12
    path.write_bytes(content[:place] + struct.pack("<ii", width, height) + content[place + 8 :])
    return path


def gif(path: Path, width: int, height: int) -> Path:
    """A GIF of one small picture whose header states another size."""
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, "GIF")
    content = path.read_bytes()
    path.write_bytes(content[:6] + struct.pack("<HH", width, height) + content[10:])
    return path


def peak_of(checker: Checker) -> int:
    """Bytes that the process has held at most."""
    status = Path(f"/proc/{checker._child.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_what_is_too_large_is_refused_in_one_sentence(checker: Checker, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(1_000_001))
    hours = make(tmp_path / "hours.mp4", counting(2), times=[0.0, 36_000.0])
    png = tmp_path / "wide.png"
    Image.fromarray(np.zeros((1500, 1500), np.uint8)).save(png)
    cases = {
        large: r"^large\.mp4 has 1\.0 MB, the limit is 1 MB",
        hours: r"^hours\.mp4 lasts 36000\.\d s, the limit is 60 s",
        png: r"^wide\.png has pictures of 1500 x 1500 pixels, the limit is 2\.07 megapixels",
        claims(tmp_path / "huge.avi", 100_000, 100_000): r"^huge\.avi has no valid picture size",
        claims(tmp_path / "big.avi", 9000, 9000): r"^big\.avi has pictures of 9000 x 9000 pixels",
        gif(tmp_path / "sixteen.mp4", 16_000, 16_000): r"^sixteen\.mp4 has pictures of 16000 x 16000 pixels",
    }
    for path, sentence in cases.items():
        with pytest.raises(JobError, match=sentence) as found:
            checker.check(path)
        assert str(tmp_path) not in str(found.value) and "\n" not in str(found.value)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc")
def test_a_small_file_of_a_large_picture_takes_little_memory(checker: Checker, tmp_path: Path) -> None:
    before, video = peak_of(checker), tmp_path / "picture.mp4"
    Image.fromarray(np.zeros((13_000, 13_000), np.uint8)).save(video, "PNG")
    with pytest.raises(JobError, match="13000 x 13000"):
        checker.check(video)
    assert peak_of(checker) < before + 300_000_000


def test_sound_has_a_length_and_no_picture(checker: Checker, tmp_path: Path) -> None:
    checker.check(make(tmp_path / "short.wav", sound=tone(1.0, 8000), audio=("pcm_s16le", "mono", 8000)), sound=True)
    long = make(tmp_path / "long.flac", sound=np.zeros((1, 61 * 8000), np.float32), audio=("flac", "mono", 8000))
    with pytest.raises(JobError, match=r"long\.flac lasts 61\.0 s"):
        checker.check(long, sound=True)


def test_a_file_that_is_none_or_takes_the_process_down_is_refused(checker: Checker, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_bytes(b"none")
    with pytest.raises(JobError, match=r"^text\.mp4 cannot be opened as a video"):
        checker.check(text)
    with pytest.raises(JobError, match=r"missing\.mp4: No such file"):
        checker.check(tmp_path / "missing.mp4")
    life = checker._child._life
    assert life is not None and life.process.pid is not None
    os.kill(life.process.pid, signal.SIGKILL)
    life.process.join()
    checker.check(make(tmp_path / "good.mp4", counting(5)))
