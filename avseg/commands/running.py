"""Options for running a model: `--device`, `--engine`, `--precision`, `--memory` and `--jobs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from avseg.engines.records import Choice
from avseg.lazy import imported


@dataclass(frozen=True)
class EngineChoices:
    """Engine and precision for predictions; by default the fastest on this machine."""

    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    """Engine that runs the network. auto: OpenVINO (pip install "avseg[fast]") for large networks on a CPU, else
    PyTorch."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Number format of the network. auto: bf16 with OpenVINO if the CPU has units for it, else fp32."""

    @property
    def choice(self) -> Choice:
        """Engine and precision as one choice."""
        return Choice(self.engine, self.precision)


@dataclass(frozen=True)
class LiveRunning(EngineChoices):
    """Engine, precision and device."""

    device: str = "auto"
    """Device to run the model on: auto, cpu, cuda, cuda:1 or mps."""


@dataclass(frozen=True)
class PredictRunning(LiveRunning):
    """Engine, precision, device, memory limit and number of processes."""

    memory: str | None = None
    """Memory limit, such as 2GiB: of the whole process on a CPU, of the tensors on a GPU. The network gets as many
    pictures at once as fit. Unlimited by default.
    """
    jobs: int = 1
    """Number of processes, each with its own copy of the model. With two or more, a video that crashes its process does
    not end the run. With several GPUs and --device auto, the processes use them in turn."""

    @property
    def work(self) -> Callable[..., Any]:
        """Return the function that segments: `predict_paths`, or the same with several processes.

        Raises:
            ValueError: if there is less than one process.
        """
        if self.jobs < 1:
            raise ValueError(f"--jobs is {self.jobs}, wanted 1 process or more")
        if self.jobs == 1:
            return imported("avseg.inference.folder:predict_paths")  # type: ignore[no-any-return]
        return partial(imported("avseg.batch.folders:predict_in_processes"), jobs=self.jobs)


@dataclass(frozen=True)
class ScoreRunning:
    """Engine and precision for scores; PyTorch in full precision by default."""

    device: str = "auto"
    """Device to run the model on: auto, cpu, cuda, cuda:1 or mps."""
    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "torch"
    """Engine that runs the network. The table of scores names it unless it is PyTorch in fp32."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "fp32"
    """Number format of the network."""
