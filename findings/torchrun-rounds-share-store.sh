#!/usr/bin/env bash
# torchrun with several machines: all rounds share one key-value store, so that after a restart a process reads the
# address at which a dead process of the last round listened, and its connection is refused. With
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 every round has a store of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
cat > worker.py <<'PYTHON'
"""Connects twice: in the first round a worker ends with an error, in the second one rank 0 comes late."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

rank, folder = int(os.environ["RANK"]), Path(os.environ["FOLDER"])
rounds = folder / f"rounds of machine {os.environ['MACHINE']}"
with rounds.open("a") as file:
    file.write("begun\n")
second = rounds.read_text().count("\n") == 2
if second and rank == 0:
    time.sleep(8)
try:
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
    dist.barrier()
    told = "connected"
except Exception as error:
    told = next((word for word in ("Connection refused", "timed out") if word in str(error)), str(error))
(folder / f"round {1 + second} rank {rank}").write_text(told)
if not second:
    if rank == 1:
        sys.exit(1)
    time.sleep(60)  # until torchrun ends it
PYTHON
cat > two_machines.py <<'PYTHON'
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def run(name, **more):
    """What each rank tells of each round."""
    folder = Path(name)
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    words += ["--rdzv-backend", "c10d", "--rdzv-id", name, "--rdzv-endpoint", f"localhost:{port}"]
    words += ["--max-restarts", "1", "worker.py"]
    env = {**os.environ, "FOLDER": str(folder), "OMP_NUM_THREADS": "1", **more}
    machines = []
    for machine in "12":
        with (folder / f"machine {machine}.log").open("w") as log:
            machines.append(
                subprocess.Popen(words, env={**env, "MACHINE": machine}, stdout=log, stderr=subprocess.STDOUT)
            )
    try:
        for machine in machines:
            machine.wait(timeout=300)
    finally:
        for machine in machines:
            machine.terminate()
    told = {path.name: path.read_text() for path in sorted(folder.glob("round ? rank ?"))}
    print(f"{name}: {told}")
    return told


print("torch", version("torch"))
shared = run("one-store")
expect(shared["round 1 rank 1"] == "connected", "in the first round the processes connect")
expect(shared["round 2 rank 1"] == "Connection refused", "in the second round rank 1 reads where a dead process listened")
apart = run("a-store-each-round", TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
expect(apart["round 2 rank 1"] == "connected", "with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 it connects")
PYTHON
"$folder/venv/bin/python" two_machines.py
