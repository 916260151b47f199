#!/usr/bin/env bash
# torch.nn.functional.interpolate (bilinear, corners not aligned) gives other last bits by one thread than by two. Rounded
# to uint8, some pixels of a resized picture differ by one level, so files depend on how many threads PyTorch had.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torch.nn import functional as F

for package in ["torch", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


generator = torch.Generator().manual_seed(0)
for height, width in ((32, 40), (360, 640)):
    picture = torch.randint(0, 256, (1, 3, height, width), generator=generator, dtype=torch.uint8).float()
    sized = {}
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        sized[threads] = F.interpolate(picture, size=(224, 224), mode="bilinear", align_corners=False)
    apart = (sized[1] - sized[2]).abs().max().item()
    levels = (sized[1].round() - sized[2].round()).abs()
    print(f"{width}x{height} to 224x224: at most {apart:.5f} of 255 apart, {int(levels.sum())} values round to another level")
    expect(apart > 0, "one thread and two give other numbers")
    expect(levels.sum() > 0 and levels.max() == 1, "some of them round to the next level")
    expect(torch.equal(sized[2], sized[4]), "two threads and four give the same")
PYTHON
