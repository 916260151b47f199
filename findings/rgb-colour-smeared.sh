#!/usr/bin/env bash
# PyAV: `VideoFrame.reformat` from RGB to yuv420p takes the colour of four pixels from a window twice as high, as its
# scaling is bilinear unless told otherwise: a picture that came out of yuv420p does not go back into it. The same call
# with AREA, at the same speed, brings back what was there to within rounding.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation

for package in ["av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence, flush=True)
    if not holds:
        sys.exit(1)


HEIGHT, WIDTH = 240, 320
planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
swing = np.where(np.arange(HEIGHT // 2) % 2, 38, -38)[:, None].repeat(WIDTH // 2, 1)
planes[HEIGHT : HEIGHT * 5 // 4] = (128 + swing).reshape(-1, WIDTH)
planes[HEIGHT * 5 // 4 :] = (128 - swing).reshape(-1, WIDTH)
before = VideoFrame.from_ndarray(planes, format="yuv420p")
rgb = before.reformat(format="rgb24")
print("input: 320x240, yuv420p, two colours in turn, two lines each; to rgb24 and back")
errors = {}
for name, chosen in {"by default": None, "with BILINEAR": Interpolation.BILINEAR, "with AREA": Interpolation.AREA}.items():
    after = rgb.reformat(format="yuv420p", interpolation=chosen).to_ndarray()[HEIGHT:].astype(int)
    errors[name] = np.abs(after - planes[HEIGHT:]).mean()
    print(f"mean error of a colour value {name}: {errors[name]:.2f} of a swing of 76")
expect(errors["by default"] == errors["with BILINEAR"] > 10, "by default colours of neighbouring lines are mixed")
expect(errors["with AREA"] < 1.5, "with AREA they come back")
PYTHON
