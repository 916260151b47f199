#!/usr/bin/env bash
# Weights as numpy arrays that were transposed, as from TensorFlow to PyTorch: safetensors writes their memory
# in its own order under the new shape, and the file holds other numbers; no error is raised.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load_file, save_file

for package in ["safetensors", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
save_file({"weight": kernel.T, "whole": np.ascontiguousarray(kernel.T)}, "x.safetensors")
held = load_file("x.safetensors")
print("given:", kernel.T.tolist())
print("read back, as given:", held["weight"].tolist())
print("read back, made contiguous before:", held["whole"].tolist())
expect(held["weight"].shape == (3, 2), "the shape is that of the transposed array")
expect(held["weight"].ravel().tolist() == kernel.ravel().tolist(), "the numbers are in the order before transposing")
expect((held["whole"] == kernel.T).all(), "np.ascontiguousarray before saving gives the right file")
PYTHON
