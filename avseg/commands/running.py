"""Where a model runs and what computes it: `--device`, `--engine`, `--precision` and `--memory`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.engines.records import Choice


@dataclass(frozen=True)
class EngineChoices:
    """Of predictions: whatever is fast here."""

    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    """What computes its network. auto: OpenVINO (pip install "avseg[fast]") for large networks on
    a CPU, else PyTorch."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """In which numbers. auto: bf16 with OpenVINO where the CPU has units for it, else fp32."""
    memory: str | None = None
    """What the process, on a GPU its tensors, may take in all, as 2GiB: the network sees as many pictures at once as
    fit. By default as many as the model likes."""

    @property
    def choice(self) -> Choice:
        """Of both."""
        return Choice(self.engine, self.precision)


@dataclass(frozen=True)
class PredictRunning(EngineChoices):
    """The same, and where."""

    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1 or mps."""


@dataclass(frozen=True)
class ScoreRunning:
    """Of scores: PyTorch in full precision, unless somebody asks for another."""

    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1 or mps."""
    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "torch"
    """What computes its network; the table names any but PyTorch in fp32."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "fp32"
    """In which numbers."""
