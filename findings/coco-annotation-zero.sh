#!/usr/bin/env bash
# Truth in COCO's form whose annotations are numbered from 0: pycocotools and faster-coco-eval count a perfect
# detection of annotation 0 as a miss, because 0 also stands for no match.
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
import warnings
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


def average_precision(number, truth_class, judge_class):
    """AP of one perfect detection of one annotation that has this number, and the warnings."""
    truth = truth_class()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1, "height": 32, "width": 32}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "segmentation": RLE,
                "area": int(mask.sum()),
                "bbox": [6, 4, 18, 16],
            }
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        truth.createIndex()
        found = truth.loadRes([{"image_id": 1, "category_id": 1, "segmentation": dict(RLE), "score": 0.9}])
        judge = judge_class(truth, found, "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), any("id 0" in str(one.message) for one in told)


for name, classes in (("pycocotools", (COCO, COCOeval)), ("faster-coco-eval", (FasterCOCO, COCOeval_faster))):
    (zero, warned), (one, _) = average_precision(0, *classes), average_precision(1, *classes)
    print(f"{name}: AP {one:.2f} with the number 1, {zero:.2f} with the number 0, warned: {warned}")
    expect(one > 0.99 and zero < 0.01, f"{name} finds AP 1 for number 1 and AP 0 for number 0")
    expect(warned == (name == "faster-coco-eval"), "of the two only faster-coco-eval gives a warning")
PYTHON
