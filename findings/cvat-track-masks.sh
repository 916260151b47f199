#!/usr/bin/env bash
# datumaro reads a mask of CVAT inside an <image> and breaks off with an AttributeError at the same mask inside a <track>,
# where CVAT itself writes masks of videos.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datumaro.components.dataset import Dataset
from PIL import Image

for package in ["datumaro", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


META = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><size>1</size>
<labels><label><name>dog</name><type>mask</type><attributes></attributes></label></labels>
<original_size><width>8</width><height>6</height></original_size></task></meta>"""
PLACE = 'rle="0, 2, 1, 3" left="1" top="2" width="3" height="2" z_order="0" occluded="0"'


def read(name, annotations):
    """The annotations of frame 0, or what was raised."""
    (Path(name) / "images").mkdir(parents=True)
    Image.new("L", (8, 6)).save(Path(name) / "images" / "frame_000000.png")
    (Path(name) / "default.xml").write_text(META + annotations + "</annotations>")
    try:
        (item,) = Dataset.import_from(f"{name}/default.xml", "cvat")
        return [np.asarray(one.image).astype(int) for one in item.annotations]
    except Exception as error:
        while error.__cause__ is not None:
            error = error.__cause__
        return error


in_image = read(
    "image", f'<image id="0" name="frame_000000.png" width="8" height="6"><mask label="dog" {PLACE}></mask></image>'
)
print("inside an <image>:", *in_image, sep="\n")
expect(isinstance(in_image, list) and in_image[0].sum() == 5, "the mask of an <image> is read, with its five pixels")
in_track = read(
    "track", f'<track id="0" label="dog"><mask frame="0" keyframe="1" outside="0" {PLACE}></mask></track>'
)
print("inside a <track>:", type(in_track).__name__, in_track)
expect(isinstance(in_track, AttributeError), "the same mask inside a <track> ends in an AttributeError")
PYTHON
