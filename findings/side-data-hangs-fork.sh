#!/usr/bin/env bash
# PyAV: a frame whose `side_data` was looked at and that was turned to RGB is freed by the garbage collector alone, with
# FFmpeg's scaler and its threads. In a process that was forked meanwhile (as torch's data loaders fork) that never ends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import gc
import os
import signal
import sys
import time
from importlib.metadata import version

import av
import numpy as np

for package in ["av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence, flush=True)
    if not holds:
        sys.exit(1)


with av.open("x.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
    for number in range(10):
        picture = np.full((480, 640, 3), 20 * number, np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    out.mux(stream.encode(None))


def look(side_data):
    """Decode the first frame, turn it to RGB and forget it."""
    with av.open("x.mp4") as container:
        frame = next(container.decode(video=0))
        if side_data:
            frame.side_data
        frame.to_ndarray(format="rgb24")


def forked_collection_ends(seconds=10):
    """Whether a forked process comes to the end of `gc.collect()`."""
    child = os.fork()
    if not child:
        gc.collect()
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


gc.disable()
look(side_data=False)
expect(forked_collection_ends(), "a frame that was only turned to RGB does no harm")
look(side_data=True)
expect(not forked_collection_ends(), "after a look at side_data the forked process hangs while it collects garbage")
gc.collect()
expect(forked_collection_ends(), "garbage that is collected before the fork does no harm")
PYTHON
