#!/usr/bin/env bash
# Saving the same tensors with the same metadata twice: safetensors writes the metadata in an order drawn by
# chance, so that files of equal content differ in their bytes and hashes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load, save

for package in ["safetensors", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


tensors = {"weight": np.ones((2, 3), np.float32)}
metadata = {name: "x" for name in ("family", "config", "task", "classes", "author", "data")}
files = {save(tensors, metadata) for _ in range(50)}
alone = {save(tensors, {"family": "x"}) for _ in range(50)}


def header(file):
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length])


print("different files among 50 with six entries:", len(files), "and with one entry:", len(alone))
for file in sorted(files)[:3]:
    print("  ", list(header(file)["__metadata__"]))
expect(len(files) > 1, "files of the same tensors and metadata differ")
expect(all(header(file) == header(min(files)) for file in files), "only in the order of their metadata")
expect(all((load(file)["weight"] == tensors["weight"]).all() for file in files), "the tensors are the same")
expect(len(alone) == 1, "with one entry all files are equal")
PYTHON
