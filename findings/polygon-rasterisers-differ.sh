#!/usr/bin/env bash
# The same polygon is another mask in pycocotools than in Pillow and OpenCV: of a square of 10 x 10 pixels outlined along
# the edges of its pixels, pycocotools gives the 100 pixels back, the other two paint 121; of the outline that OpenCV finds
# (through the middles of pixels), the two give 100 back and pycocotools 81, and of a single pixel none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 pillow==13.0.0 \
  opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco

for package in ["pycocotools", "pillow", "opencv-python-headless", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def painted(polygon):
    """Pixels of one polygon (N, 2) in each of the three."""
    points = np.asarray(polygon, np.int32)
    of_coco = coco.decode(coco.frPyObjects([points.ravel().astype(float).tolist()], 40, 40))[..., 0]
    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).polygon([tuple(map(int, point)) for point in points], fill=1)
    of_cv = cv2.fillPoly(np.zeros((40, 40), np.uint8), [points], 1)
    return [int(array.sum()) for array in (of_coco, np.asarray(image), of_cv)]


along_edges = [(20, 20), (30, 20), (30, 30), (20, 30)]
print("a square of 100 pixels, outlined along its edges: pycocotools, Pillow, OpenCV paint", painted(along_edges))
expect(painted(along_edges) == [100, 121, 121], "pycocotools gives 100 pixels back, Pillow and OpenCV 121")

square = np.zeros((40, 40), np.uint8)
square[20:30, 20:30] = 1
found = cv2.findContours(square, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0]
print("the outline that OpenCV finds of it: from", found.min(0), "to", found.max(0), "painted as", painted(found))
expect(painted(found) == [81, 100, 100], "of OpenCV's own outline pycocotools gives 81 pixels, the other two 100")

pixel = np.zeros((40, 40), np.uint8)
pixel[20, 20] = 1
found = cv2.findContours(pixel, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0]
print("the outline that OpenCV finds of a single pixel has", len(found), "point(s)")
expect(len(found) == 1, "a single pixel becomes one point, which is no polygon in COCO's form")
PYTHON
