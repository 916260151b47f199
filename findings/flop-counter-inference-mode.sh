#!/usr/bin/env bash
# PyTorch's counter of operations ends in an AttributeError under torch.inference_mode() as soon as one module is called
# with a parameter of another, as networks with learnt queries do; with gradients, or under torch.no_grad(), it counts.
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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

for package in ["torch", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


class Queries(nn.Module):
    """Three learnt queries through a layer."""

    def __init__(self):
        super().__init__()
        self.queries, self.layer = nn.Parameter(torch.ones(3, 4)), nn.Linear(4, 5)

    def forward(self):
        return self.layer(self.queries)


def counted(network, mode):
    with mode:
        try:
            with FlopCounterMode(display=False) as counter:
                network()
        except AttributeError as error:
            return f"AttributeError: {error}"
        return counter.get_total_flops()


network = Queries()
for name, mode in (("with gradients", torch.enable_grad()), ("under no_grad", torch.no_grad())):
    found = counted(network, mode)
    print(f"{name}: {found}")
    expect(found == 2 * 3 * 4 * 5, f"{name} the product of 3 x 4 and 4 x 5 counts as 120 operations")
found = counted(network, torch.inference_mode())
print(f"under inference_mode: {found}")
expect("next_functions" in str(found), "under inference_mode the same call raises an AttributeError about gradients")
found = counted(network.requires_grad_(False), torch.inference_mode())
print(f"under inference_mode, parameters without gradients: {found}")
expect(found == 120, "where the parameters want no gradient it is counted again")
PYTHON
