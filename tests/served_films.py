"""Films served in real time on this machine, by programs that not every machine has."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from inference.media import make

SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's, which sees Debian's GStreamer."""
RTSP_SERVER = str(Path(__file__).parents[1] / "benchmarks" / "rtsp_server.py")
FPS, RATE = 25, 48_000
FLASH = (0.3, 0.7)
"""s of every second in which picture and sound are on."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def flashes(path: Path, seconds: float, silent: bool = False) -> Path:
    """A film that is white and loud in `FLASH` of every second, black and still otherwise."""
    times = [number / FPS for number in range(round(seconds * FPS))]
    pictures = [np.full((48, 64, 3), 255 if FLASH[0] <= at % 1 < FLASH[1] else 0, np.uint8) for at in times]
    at = np.arange(round(seconds * RATE)) / RATE
    loud = (at % 1 >= FLASH[0]) & (at % 1 < FLASH[1])
    sound = (0.5 * np.sin(2 * np.pi * 880 * at) * loud)[None].astype(np.float32)
    return make(path, pictures, times, sound=None if silent else sound, audio=("aac", "mono", RATE))


@contextmanager
def over_http(
    film: Path, port: int, *, seconds: float | None = None, awaited: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """`film` as MPEG-TS in real time for one client, over and over for `seconds` where they are given.

    `awaited`: somebody tries to connect already.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("needs the program ffmpeg on PATH (Debian: apt-get install ffmpeg)")
    length = ["-t", str(seconds)] if seconds else []
    words = ["-v", "error", "-re", *(["-stream_loop", "-1"] if seconds else []), "-i", str(film), *length]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "5", "-c:a", "aac"]
    target = ["-f", "mpegts", "-listen", "1", f"http://127.0.0.1:{port}/film.ts"]
    server = subprocess.Popen([program, *words, *coding, *target], stderr=subprocess.DEVNULL)
    try:
        if not awaited:
            _wait_for(port, server)
        yield server
    finally:
        server.kill()
        server.wait()


@contextmanager
def over_rtsp(film: Path, port: int) -> Iterator[str]:
    """The address of `film`, served once to each client by Debian's GStreamer RTSP server."""
    there = Path(SYSTEM_PYTHON).exists() and sys.platform == "linux"
    if not there or subprocess.run([SYSTEM_PYTHON, RTSP_SERVER], capture_output=True).returncode:
        pytest.skip(
            "needs Debian's GStreamer RTSP server (apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi "
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)"
        )
    server = subprocess.Popen([SYSTEM_PYTHON, RTSP_SERVER, str(port), str(film)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None and server.stdout.readline().strip() == b"ready"
        yield f"rtsp://127.0.0.1:{port}/film"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until the port is listened at. It is not tried: the server would take that for its one client."""
    wanted = f":{port:04X}"
    for _ in range(400):
        assert server.poll() is None, "ffmpeg has ended before anybody came"
        table = Path("/proc/net/tcp")
        if not table.exists():
            time.sleep(3)
            return
        if any(
            line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in table.read_text().splitlines()[1:]
        ):
            return
        time.sleep(0.05)
    pytest.fail("ffmpeg does not listen")
