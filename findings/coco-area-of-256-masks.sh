#!/usr/bin/env bash
# Areas of many masks in one call: with numpy 2 pycocotools' area works up to 255 masks and raises an overflow
# from 256 on, while boxes, decoding and IoU of the same list work.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco

for package in ["pycocotools", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


masks = coco.encode(np.asfortranarray(np.repeat(np.eye(8, dtype=np.uint8)[..., None], 256, axis=2)))
print("area of 255 masks:", coco.area(masks[:255]).shape)
expect(coco.area(masks[:255]).tolist() == [8] * 255, "255 masks have their areas")
try:
    raised = repr(coco.area(masks))
except OverflowError as error:
    raised = repr(error)
print("area of 256 masks:", raised)
expect(raised.startswith("OverflowError"), "256 masks raise an OverflowError")
shapes = coco.toBbox(masks).shape, coco.decode(masks).shape, coco.iou(masks, masks, [0] * 256).shape
print("toBbox, decode, iou of 256 masks:", shapes)
expect(shapes == ((256, 4), (8, 8, 256), (256, 256)), "the other functions take 256 masks")
PYTHON
