#!/usr/bin/env bash
# fully_shard (FSDP2) refuses a model that was brought to channels-last, the usual form of convolutions for speed, while
# DistributedDataParallel takes it. Convolutions of 1x1 pass, so that it depends on the network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

print("torch", torch.__version__)
warnings.simplefilter("ignore")
dist.init_process_group("gloo", init_method=f"file://{Path('store').absolute()}", rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def sharded(layout, size):
    """Its error, or nothing."""
    try:
        fully_shard(nn.Conv2d(8, 8, size).to(memory_format=layout), mesh=mesh)
    except NotImplementedError as error:
        return str(error)
    return ""


said = sharded(torch.channels_last, 3)
print("channels-last 3x3:", said)
expect(sharded(torch.contiguous_format, 3) == "", "weights of 3x3 in the usual layout are sharded")
expect("non-contiguous" in said, "weights of 3x3 in channels-last are refused")
expect(sharded(torch.channels_last, 1) == "", "weights of 1x1 are the same numbers in both layouts, and are sharded")
DistributedDataParallel(nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last))
expect(True, "DistributedDataParallel takes channels-last weights of 3x3")
dist.destroy_process_group()
PYTHON
