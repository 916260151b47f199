#!/usr/bin/env bash
# A file that breaks off in the middle: Matroska still states its full length, AVI as read by FFmpeg states only
# what is left, so that nothing tells that an AVI file is cut.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction
from importlib.metadata import version

import av
import numpy as np

for package in ["av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def write(path):
    with av.open(path, "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(100):
            noise = np.random.default_rng(number).integers(0, 255, (64, 96, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def cut(path, shorter):
    with open(path, "rb") as whole, open(shorter, "wb") as half:
        content = whole.read()
        half.write(content[: len(content) // 2])


def look(path):
    """Stated length in s, and decoded pictures."""
    with av.open(path) as container:
        return container.duration / 1e6, sum(1 for _ in container.decode(video=0))


lengths = {}
for kind in ("mkv", "avi"):
    write(f"whole.{kind}")
    cut(f"whole.{kind}", f"half.{kind}")
    lengths[kind] = look(f"whole.{kind}") + look(f"half.{kind}")
    whole, pictures, half, left = lengths[kind]
    print(f"{kind}: whole {whole:.2f} s stated, {pictures} pictures; half {half:.2f} s stated, {left} pictures")
expect(lengths["mkv"][0] == lengths["mkv"][2] == 4, "the half Matroska file states 4 s, as the whole one does")
expect(lengths["avi"][0] == 4, "the whole AVI file states 4 s")
expect(lengths["avi"][2] < 2.2, "the half AVI file states about 2 s, although its header still holds the number 100")
with open("half.avi", "rb") as file:
    header = file.read(2048)
    place = header.index(b"strh")
    frames = int.from_bytes(header[place + 40 : place + 44], "little")
print("pictures in the stream header of the half AVI file:", frames)
expect(frames == 100, "that number is there to be read")
PYTHON
