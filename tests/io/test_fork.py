"""Videos may be read before a process forks, as loaders of data do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avseg.io.video import write_video

CODE = """
import gc, os, signal, sys, time
from avseg.io.video import iter_frames, probe
gc.disable()
probe(sys.argv[1])
assert len(list(iter_frames(sys.argv[1]))) == 4
child = os.fork()
if not child:
    gc.collect()
    os._exit(0)
for _ in range(300):
    if os.waitpid(child, os.WNOHANG)[0]:
        sys.exit(0)
    time.sleep(0.1)
os.kill(child, signal.SIGKILL)
sys.exit("the forked process hangs while it collects garbage")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_forks_after_reading_a_video_collects_its_garbage(tmp_path: Path) -> None:
    video = write_video(tmp_path / "x.mp4", [np.full((480, 640, 3), 40 * n, np.uint8) for n in range(4)], 4)
    ended = subprocess.run([sys.executable, "-c", CODE, str(video)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
