#!/usr/bin/env bash
# PNG files of 16 bits: Pillow scales coloured ones to 8 bits, but cuts grey ones at 255 when they are
# converted, so that nearly everything turns white; OpenCV scales both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image

for package in ["pillow", "opencv-python-headless", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


ramp = (np.arange(16, dtype=np.uint16) * 4096).reshape(4, 4)
cv2.imwrite("grey.png", ramp)
cv2.imwrite("colour.png", np.dstack([ramp] * 3))
wanted = (ramp >> 8).astype(np.uint8)
grey, colour = Image.open("grey.png"), Image.open("colour.png")
print("16-bit values:      ", ramp.ravel().tolist())
print(f"Pillow grey ({grey.mode}): ", np.asarray(grey.convert("L")).ravel().tolist())
print(f"Pillow colour ({colour.mode}):", np.asarray(colour.convert("L")).ravel().tolist())
print("OpenCV grey:        ", cv2.imread("grey.png", cv2.IMREAD_GRAYSCALE).ravel().tolist())
clipped = np.minimum(ramp, 255)
expect((np.asarray(grey.convert("L")) == clipped).all(), "Pillow's convert('L') of a grey file cuts at 255")
expect((np.asarray(grey.convert("RGB"))[..., 0] == clipped).all(), "so does convert('RGB')")
expect((np.abs(np.asarray(colour.convert("L")).astype(int) - wanted) <= 1).all(), "a colour file is divided by 256")
expect((cv2.imread("grey.png", cv2.IMREAD_GRAYSCALE) == wanted).all(), "OpenCV divides grey ones as well")
PYTHON
