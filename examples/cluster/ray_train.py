"""Training on the machines of a Ray cluster: pip install "ray[train]", then on the head node

    python ray_train.py --workers 8 --gpu -- tpavi_avss_pvt --data.shards s3://bucket/avss \
        --train.store s3://bucket/runs/avss --out /scratch/runs/avss

Everything behind `--` is what `avseg train` takes. Each worker is one process of the run. Where one fails, Ray begins
all of them again, on other machines where need be, and the run goes on from its newest checkpoint. Workers have
folders of their own, so --out must be absolute; --train.store brings the checkpoint to machines that lack it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer


def work(config: dict[str, Any]) -> None:
    """One process of the run."""
    from avseg.cli import run

    status = run(["train", *config["words"]])
    if status:
        raise RuntimeError(f"avseg train ended with {status}")


def main() -> None:
    parser = argparse.ArgumentParser(usage="ray_train.py --workers N [--gpu] -- RECIPE --out DIR ...")
    parser.add_argument("--workers", type=int, default=2, help="processes of the run, the same for all of its length")
    parser.add_argument("--gpu", action="store_true", help="a GPU for each")
    parser.add_argument("--cpus", type=float, default=1, help="CPU cores for each")
    parser.add_argument("--failures", type=int, default=3, help="how often the run is begun again")
    parser.add_argument("--storage", help="where Ray keeps its own notes: a folder that all machines see, or s3://...")
    parser.add_argument("--address", help="the cluster; by default the one of this machine, or a new one")
    parser.add_argument("words", nargs="+", help="what `avseg train` takes")
    options = parser.parse_args()
    if "--out" not in options.words or not Path(options.words[options.words.index("--out") + 1]).is_absolute():
        sys.exit("ray_train.py: give --out an absolute path; every worker has a folder of its own")
    ray.init(address=options.address)
    trainer = TorchTrainer(
        work,
        train_loop_config={"words": options.words},
        torch_config=TorchConfig(backend="nccl" if options.gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=options.workers, use_gpu=options.gpu, resources_per_worker={"CPU": options.cpus}
        ),
        run_config=RunConfig(storage_path=options.storage, failure_config=FailureConfig(max_failures=options.failures)),
    )
    trainer.fit()


if __name__ == "__main__":
    main()
