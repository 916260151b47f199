"""What starts processes on several machines: they train as one process, also where one of them dies.

The templates of examples/cluster have machines without a disk in common.
Slurm's own programs are stood in for by scripts that start the command once for each node, in a folder of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import SGD_AND_ADAM, TinyConfig, TinyModel, TinyWorld, recipe, rows

from avseg.engine import train
from avseg.types import Task
from extras import needs

HERE = Path(__file__).parent
CLUSTER = HERE.parents[1] / "examples" / "cluster"
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
for node in $(seq "$SLURM_NNODES"); do
    mkdir -p "machine$node"
    (cd "machine$node" && exec "$@") &
    started="$started $!"
done
for process in $started; do wait "$process" || status=$?; done
exit ${status:-0}
"""


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    own = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": path, "MARKER": str(tmp_path / "killed")}
    return {**kept, **own, **more}


def train_alone(tmp_path: Path) -> Path:
    """The same run in one process, with the batches of both together."""
    model = TinyConfig(dropout=0.0, frozen=True, double=True)
    of = recipe(model=model, optim=SGD_AND_ADAM, batch_size=4, epochs=4)
    torch.manual_seed(of.train.seed)  # as `avseg train` begins
    train(TinyModel(model, Task("binary")), TinyWorld(13), TinyWorld(5, seed=1), of, tmp_path / "alone")
    return tmp_path / "alone"


def assert_same(one: Path, two: Path) -> None:
    """Processes add in another order, hence not to the last bit."""
    single, double = load_file(one / "last.safetensors"), load_file(two / "last.safetensors")
    assert single.keys() == double.keys()
    for name, value in single.items():
        torch.testing.assert_close(double[name], value, rtol=0, atol=1e-6)
    assert [row["step"] for row in rows(one)] == [row["step"] for row in rows(two)]
    assert all(abs(a["loss"] - b["loss"]) < 1e-9 for a, b in zip(rows(one), rows(two), strict=True))


def test_accelerate_starts_two_processes(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu"]
    launch += ["--num_machines", "1", "--num_processes", "2", "--mixed_precision", "no", "--dynamo_backend", "no"]
    words = ["tiny", "--plugin", str(HERE / "tiny_plugin.py"), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*launch, "--main_process_port", str(free_port()), "-m", "avseg", "train", *words],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2
    assert_same(train_alone(tmp_path), tmp_path / "run")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.skipif(os.name == "nt", reason="the template is of bash")
def test_slurm_begins_again_after_a_node_has_died(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", "#!/bin/bash\necho localhost\necho localhost\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "two", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "PORT": str(free_port())}
    more = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHON": sys.executable, "KILL": "1:9"}
    # A folder of its own for each machine; what they share is the store alone.
    words = [
        "tiny",
        "--plugin",
        str(HERE / "tiny_plugin.py"),
        "--out",
        "run",
        "--train.store",
        f"file://{tmp_path}/store",
    ]
    done = subprocess.run(
        ["bash", str(CLUSTER / "train.slurm"), *words],
        cwd=tmp_path,
        env=environment(tmp_path, **slurm, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert (tmp_path / "killed").exists()
    assert "resuming from step" in done.stdout + done.stderr
    (first,) = [path for path in tmp_path.glob("machine?/run") if (path / "summary.json").exists()]
    assert_same(train_alone(tmp_path), first)
    assert (tmp_path / "store" / "summary.json").read_bytes() == (first / "summary.json").read_bytes()


@pytest.mark.extra
def test_ray_train_begins_again_after_a_worker_has_died(tmp_path: Path) -> None:
    needs("ray")
    words = ["tiny", "--plugin", str(HERE / "tiny_plugin.py"), "--out", str(tmp_path / "run")]
    command = [
        sys.executable,
        str(CLUSTER / "ray_train.py"),
        "--address",
        "local",
        "--workers",
        "2",
        "--storage",
        str(tmp_path / "ray"),
        "--",
    ]
    more = {
        "KILL": "1:9",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    }
    done = subprocess.run(
        [*command, *words],
        cwd=tmp_path,
        env=environment(tmp_path, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=550,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert (tmp_path / "killed").exists()
    assert_same(train_alone(tmp_path), tmp_path / "run")
