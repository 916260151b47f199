"""Devices, precision and processes through Accelerate, and the facts of the machine."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, FullyShardedDataParallelPlugin, broadcast_object_list
from torch import nn

from avseg.engine.config import TrainConfig
from avseg.engine.training.trackers import check_trackers
from avseg.version import __version__

T = TypeVar("T")


def make_accelerator(config: TrainConfig, model: nn.Module, run_dir: Path) -> Accelerator:
    """Accelerate for one process on a CPU or a GPU, or for those that `accelerate launch` or torchrun started.

    Raises:
        ValueError: FSDP2, fp16 or CUDA graphs without what they need, or a tracker that is unknown or not installed.
    """
    check_trackers(config.trackers)
    if config.strategy == "fsdp2" and not torch.cuda.is_available():
        raise ValueError("train.strategy is fsdp2, which shards over GPUs, and this machine has none; use ddp")
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise ValueError("train.precision is fp16, which needs a GPU, and this machine has none; use fp32 or bf16")
    if config.cuda_graphs and not torch.cuda.is_available():
        raise ValueError("train.cuda_graphs needs an NVIDIA GPU, and this machine has none; leave it out")
    accelerator = Accelerator(
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        log_with=list(config.trackers) or None,
        project_dir=str(run_dir / "trackers"),
        fsdp_plugin=_fsdp(model) if config.strategy == "fsdp2" else None,
        # A family may leave a parameter out of some step (a backbone stage without a loss), so DDP looks for those.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if config.strategy == "fsdp2" and not accelerator.is_fsdp2:
        raise ValueError("train.strategy is fsdp2, but this is a single process; start it with torchrun or use ddp")
    return accelerator


def _fsdp(model: nn.Module) -> FullyShardedDataParallelPlugin:
    """The model is one unit of sharding, so that prediction gathers it as training does."""
    return FullyShardedDataParallelPlugin(
        fsdp_version=2,
        reshard_after_forward=True,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=[type(model).__name__],
        cpu_ram_efficient_loading=False,
    )


def on_main(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """Run `work` in the main process and return its result in all; an error is raised in all, so that none waits."""
    outcome: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            outcome[0] = work()
        except Exception as error:  # noqa: BLE001 it is raised below, in every process
            outcome[1] = error
    if accelerator.num_processes > 1:
        broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    result: T = outcome[0]
    return result


def share_statistics(accelerator: Accelerator, model: nn.Module) -> None:
    """Let batch normalisation in training see the batches of all processes, in place; one process is left as it is.

    Raises:
        ValueError: several processes on a CPU, where torch has no such layer.
    """
    if accelerator.num_processes == 1:
        return
    if accelerator.device.type == "cpu":
        raise ValueError(
            "train.sync_batch_norm works across GPUs only and these processes have none; "
            "leave it out, or use one process with the whole batch"
        )
    synchronised(model)


def synchronised(model: nn.Module) -> nn.Module:
    """`model` itself with every batch normalisation in it made one of all processes; parameters stay the same."""
    from timm.layers import convert_sync_batchnorm  # torch's own would lose the activation of timm's joint layers

    converted: nn.Module = convert_sync_batchnorm(model)
    return converted


def environment(accelerator: Accelerator) -> dict[str, Any]:
    """Versions, devices and processes, for whoever wants to repeat the run."""
    packages = ("torch", "torchvision", "timm", "accelerate", "numpy", "av")
    return {
        "avseg": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in packages},
        "device": device_name(accelerator.device),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
    }


def device_name(device: torch.device) -> str:
    """The name of a GPU, `cpu` or `mps`."""
    return torch.cuda.get_device_name() if device.type == "cuda" else device.type


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
