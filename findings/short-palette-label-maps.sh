#!/usr/bin/env bash
# A label map with a palette for its own few classes: Pillow packs as few bits as the palette needs and cuts the
# values beyond it, so that 255 (ignored) becomes a class; no error is raised.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from PIL import Image

for package in ["pillow", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


labels = np.zeros((8, 8), np.uint8)
labels[2:4], labels[6:] = 1, 255  # one class, and a border that is to be ignored
for colours, value in ((2, 1), (4, 3), (16, 15), (17, 255), (256, 255)):
    image = Image.fromarray(labels)
    image.putpalette([channel for number in range(colours) for channel in (number, 255 - number, 128)])
    held = np.unique(np.asarray(image)).tolist()
    image.save("x.png")
    read = np.unique(np.asarray(Image.open("x.png"))).tolist()
    print(f"palette of {colours} colours: {held} in memory, {read} after saving and opening")
    expect(held == [0, 1, 255], "in memory all values are there")
    expect(read == sorted({0, 1, value}), f"in the file 255 is {value}")
PYTHON
