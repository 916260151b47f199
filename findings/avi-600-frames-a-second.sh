#!/usr/bin/env bash
# A plain MP4 file of 50 pictures at 25 a second, copied into AVI by the ffmpeg command without coding it again: the
# AVI file claims 600 frames a second and 1200 pictures, each 1/600 s long.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 imageio-ffmpeg==0.8.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from fractions import Fraction
from importlib.metadata import version

import av
import imageio_ffmpeg
import numpy as np

for package in ["av", "numpy", "imageio-ffmpeg"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


with av.open("x.mp4", "w") as out:
    stream = out.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for number in range(50):
        noise = np.random.default_rng(number).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "x.mp4", "-c", "copy", "x.avi"]
subprocess.run(command, check=True)


def look(path):
    """Stated rate and number of pictures; times and own durations in s of those that are decoded."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        rate, stated = stream.average_rate, stream.frames
        frames = [(frame.time, float(frame.duration * frame.time_base)) for frame in container.decode(stream)]
    times, durations = np.array(frames).T
    print(
        f"{path}: {rate} a second and {stated} pictures stated; {len(times)} decoded, {np.diff(times).mean():.4f} s "
        f"apart, each lasting {durations[0]:.6f} s by its own word"
    )
    return rate, stated, times, durations


rate, stated, _, durations = look("x.mp4")
expect((rate, stated) == (25, 50) and np.allclose(durations, 0.04), "MP4 states 25 a second and 50 pictures of 0.04 s")
rate, stated, times, durations = look("x.avi")
expect(rate == 600 and stated > 1100, "AVI states 600 a second and about 1200 pictures")
expect(np.allclose(durations, 1 / 600), "each of its pictures is said to last 1/600 s")
expect(len(times) == 50 and np.allclose(np.diff(times), 0.04, atol=0.002), "but 50 are decoded, 0.04 s apart")
PYTHON
