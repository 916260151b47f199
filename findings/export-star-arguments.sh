#!/usr/bin/env bash
# With PyTorch 2.9 a program that torch.export made of `forward(self, *tensors)` with an axis of variable length cannot be
# decomposed: "name 'L' is not defined". Writing it as ONNX decomposes it first, and so fails too. The same program with
# named arguments is fine, and so are both with PyTorch 2.8 and 2.10. The export itself gives no warning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > run.py <<'PYTHON'
"""Exports two modules of equal numbers and tells whether their programs can be decomposed."""

import sys
import warnings

import torch

warnings.simplefilter("ignore")


class Star(torch.nn.Module):
    def forward(self, *tensors):
        return tensors[0].mean(1) + tensors[1].mean(1)


class Named(torch.nn.Module):
    def forward(self, first, second):
        return first.mean(1) + second.mean(1)


axis = {0: torch.export.Dim("pictures", min=1, max=64)}
given = (torch.rand(10, 4), torch.rand(10, 4))
found = []
for module, shapes in ((Star(), ((axis, axis),)), (Named(), (axis, axis))):
    program = torch.export.export(module, given, dynamic_shapes=shapes, strict=False)
    try:
        program.run_decompositions()
        found.append("fine")
    except NameError as error:
        found.append(str(error).splitlines()[0])
print("torch", torch.__version__, "| star arguments:", found[0], "| named arguments:", found[1])
broken = torch.__version__.startswith("2.9")
sys.exit(found != ["name 'L' is not defined" if broken else "fine", "fine"])
PYTHON
for torch in 2.8.0 2.9.1 2.10.0; do
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "torch==$torch" numpy==2.4.6
    "$folder/venv/bin/python" run.py || { echo "The behaviour has changed with torch $torch."; exit 1; }
    rm -rf "$folder/venv"
done
