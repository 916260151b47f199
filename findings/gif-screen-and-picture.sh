#!/usr/bin/env bash
# A GIF has a screen, and pictures that need not fill it. Pillow and PyAV state the screen's size, and both allocate all of
# it for a picture of 4 x 4; where the screen is larger than FFmpeg allows, PyAV states 0 x 0 and opens the file all the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 pillow==12.3.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import struct
import sys
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
from PIL import Image

Image.MAX_IMAGE_PIXELS = None  # only its header is read
for package in ["av", "numpy", "pillow"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


Image.fromarray(np.zeros((4, 4), np.uint8)).save("small.gif")
small = Path("small.gif").read_bytes()


def on_screen(width, height):
    """The same picture of 4 x 4 in the corner of a larger screen, as the format allows."""
    path = Path(f"{width}.gif")
    path.write_bytes(small[:6] + struct.pack("<HH", width, height) + small[10:])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        stated = context.width, context.height
        try:
            frame = next(container.decode(video=0))
            decoded = frame.width, frame.height
        except av.error.FFmpegError as error:
            decoded = type(error).__name__
    with Image.open(path) as image:
        pillow = image.size
    print(f"{path.stat().st_size} bytes, screen {width} x {height}: Pillow {pillow}, PyAV {stated}, decoded {decoded}")
    return pillow, stated, decoded


pillow, stated, decoded = on_screen(4000, 3000)
expect(pillow == stated == decoded == (4000, 3000), "the picture of 4 x 4 becomes one of the whole screen")
pillow, stated, decoded = on_screen(65535, 65535)
expect(pillow == (65535, 65535), "Pillow states the largest screen that the format knows")
expect(stated == (0, 0), "PyAV opens it and states 0 x 0, which no limit of width times height refuses")
expect(isinstance(decoded, str), "PyAV raises an error when a picture is asked for")
PYTHON
