#!/usr/bin/env bash
# torchrun with several machines: all rounds share one key-value store, so that after a restart a process reads the
# address at which a dead process of the last round listened. It is refused, or both sides wait for each other, or it
# works by luck: which side connects depends on the numbers of the ports. With TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# every round has a store of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
cat > worker.py <<'PYTHON'
"""Connects in two rounds: in the first one a worker ends with an error, in the second one rank 0 comes late."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

LATE, PATIENCE = 4, timedelta(seconds=20)
rank, folder = int(os.environ["RANK"]), Path(os.environ["FOLDER"])
rounds = folder / f"rounds of machine {os.environ['MACHINE']}"
with rounds.open("a") as file:
    file.write("begun\n")
number = rounds.read_text().count("\n")
if number == 2 and rank == 0:
    time.sleep(LATE)
told = ""
try:
    store, _, _ = next(dist.rendezvous("env://", timeout=PATIENCE))
    told = f"reads words of rank 0 of round {store.get('round').decode()}, " if store.check(["round"]) else ""
    if rank == 0:
        store.set("round", str(number))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=PATIENCE)
    dist.barrier()
    told += "connected"
except Exception as error:
    known = ("Connection refused", "Connect timeout", "timed out", "Timed out")
    told += next((word for word in known if word in str(error)), str(error))
(folder / f"round {number} rank {rank}").write_text(told)
if number == 1:
    if rank == 1:
        sys.exit(1)
    time.sleep(60)  # until torchrun ends it
PYTHON
cat > two_machines.py <<'PYTHON'
import os
import socket
import subprocess
import sys
import time
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
    until = time.monotonic() + 600
    while len(list(folder.glob("round 2 rank ?"))) < 2 and time.monotonic() < until:
        time.sleep(0.5)
    for machine in machines:
        machine.terminate()
    for machine in machines:
        machine.wait()
    told = {path.name: path.read_text() for path in sorted(folder.glob("round ? rank ?"))}
    print(f"{name}: {told}")
    return told


print("torch", version("torch"))
for turn in range(1, 7):
    shared = run(f"one-store-{turn}")
    expect(shared["round 1 rank 1"].endswith("connected"), "in the first round the processes connect")
    stale = shared["round 2 rank 1"].startswith("reads words of rank 0 of round 1")
    expect(stale, "in the second round rank 1 reads what the dead rank 0 wrote")
    failed = not shared["round 2 rank 1"].endswith("connected")
    if failed:
        break
expect(failed, "and does not connect (which ports are drawn decides; this was turn " + str(turn) + ")")
apart = run("a-store-each-round", TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
fresh = not apart["round 2 rank 1"].startswith("reads words of rank 0 of round 1")
expect(fresh, "with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 it reads nothing of the first round")
expect(apart["round 2 rank 1"].endswith("connected"), "and connects")
PYTHON
"$folder/venv/bin/python" two_machines.py
