#!/usr/bin/env bash
# Asking PyAV for the size of a picture costs next to nothing for a JPEG, and as much as decoding it for a PNG: FFmpeg decodes the
# first picture before the file counts as open, though the size stands in the header of both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 pillow==12.3.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

import numpy as np
from PIL import Image

for package in ["av", "numpy", "pillow"]:
    print(package, version(package))

SIDE = 6000
OPENED = f"""
import sys
from pathlib import Path
import av
def peak():
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1])
with av.open("ok.png"):
    before = peak()
with av.open(sys.argv[1]) as container:
    context = container.streams.video[0].codec_context
    assert (context.width, context.height) == ({SIDE}, {SIDE})
    print((peak() - before) // 1024)
"""


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


picture = Image.fromarray(np.full((SIDE, SIDE, 3), 90, np.uint8))
picture.save("large.png")
picture.save("large.jpg")
Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("ok.png")
rows = {}
for name in ("large.jpg", "large.png"):
    told = subprocess.run([sys.executable, "-c", OPENED, name], capture_output=True, text=True, check=True).stdout
    rows[name] = int(told)
    print(f"{name}: {SIDE} x {SIDE}; opened and asked for its size alone: {rows[name]} MiB more than a picture of 8 x 8")
whole = SIDE * SIDE * 3 / 2**20
expect(rows["large.jpg"] < 0.3 * whole, "the JPEG is not decoded until somebody asks for a picture")
expect(rows["large.png"] > 0.8 * whole, f"the PNG has been decoded by then, to {whole:.0f} MiB of pixels")
PYTHON
