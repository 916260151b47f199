"""Where a model runs and what computes it: `--device`, `--engine`, `--precision`, `--memory` and `--jobs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from avseg.engines.records import Choice
from avseg.lazy import imported


@dataclass(frozen=True)
class EngineChoices:
    """Of predictions: whatever is fast here."""

    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    """What computes its network. auto: OpenVINO (pip install "avseg[fast]") for large networks on
    a CPU, else PyTorch."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """In which numbers. auto: bf16 with OpenVINO where the CPU has units for it, else fp32."""

    @property
    def choice(self) -> Choice:
        """Of both."""
        return Choice(self.engine, self.precision)


@dataclass(frozen=True)
class LiveRunning(EngineChoices):
    """The same, and where."""

    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1 or mps."""


@dataclass(frozen=True)
class PredictRunning(LiveRunning):
    """The same, in how much memory and by how many processes."""

    memory: str | None = None
    """What the process, on a GPU its tensors, may take in all, as 2GiB: the network sees as many pictures at once as
    fit. By default as many as the model likes."""
    jobs: int = 1
    """Processes that segment, each with the model; more than one also survive a video that ends its process. With
    several GPUs and --device auto they take one each, in turn."""

    @property
    def work(self) -> Callable[..., Any]:
        """What segments: `predict_paths`, or the same by several processes.

        Raises:
            ValueError: fewer than one process.
        """
        if self.jobs < 1:
            raise ValueError(f"--jobs is {self.jobs}, wanted 1 process or more")
        if self.jobs == 1:
            return imported("avseg.inference.folder:predict_paths")  # type: ignore[no-any-return]
        return partial(imported("avseg.batch.folders:predict_in_processes"), jobs=self.jobs)


@dataclass(frozen=True)
class ScoreRunning:
    """Of scores: PyTorch in full precision, unless somebody asks for another."""

    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1 or mps."""
    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "torch"
    """What computes its network; the table names any but PyTorch in fp32."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "fp32"
    """In which numbers."""
