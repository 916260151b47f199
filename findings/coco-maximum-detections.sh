#!/usr/bin/env bash
# More than a hundred detections a picture: with other limits than COCO's own, pycocotools reports AP -1 for
# perfect detections, because the summary asks for the limit 100 by name; faster-coco-eval reports 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import io
import sys
from importlib.metadata import version

import numpy as np
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pycocotools.mask import encode

for package in ["pycocotools", "faster-coco-eval", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


mask = np.zeros((32, 32), np.uint8, order="F")
mask[4:20, 6:24] = 1
RLE = encode(mask)
RLE["counts"] = RLE["counts"].decode()


def summary(limits, truth_class, judge_class):
    """AP and AP at IoU 0.5 of one perfect detection under limits of detections a picture."""
    truth = truth_class()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1, "height": 32, "width": 32}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "segmentation": RLE,
                "area": int(mask.sum()),
                "bbox": [6, 4, 18, 16],
            }
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([{"image_id": 1, "category_id": 1, "segmentation": dict(RLE), "score": 0.9}])
        judge = judge_class(truth, found, "segm")
        judge.params.maxDets = limits
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [round(float(value), 2) for value in judge.stats[:2]]


USUAL, WIDE = [1, 10, 100], [1, 10, 300]
slow, fast = (COCO, COCOeval), (FasterCOCO, COCOeval_faster)
print("pycocotools: AP, AP50", summary(USUAL, *slow), "under", USUAL, "and", summary(WIDE, *slow), "under", WIDE)
print("faster-coco-eval:", summary(USUAL, *fast), "under", USUAL, "and", summary(WIDE, *fast), "under", WIDE)
expect(summary(USUAL, *slow) == [1, 1], "under the usual limits AP and AP50 are 1")
expect(summary(WIDE, *slow) == [-1, 1], "under wider ones pycocotools has AP -1 beside AP50 1")
expect(summary(WIDE, *fast) == [1, 1], "and faster-coco-eval has AP 1")
PYTHON
