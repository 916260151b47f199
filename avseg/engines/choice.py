"""The choice of engine and precision, including `auto`."""

from __future__ import annotations

import os
from typing import Any

import torch

from avseg.config import did_you_mean
from avseg.engines.records import AUTO, ENGINES, Choice
from avseg.lazy import imported
from avseg.models.base import Model
from avseg.models.seams import called

LARGE = 5_000_000
"""Smallest number of parameters for which compilation pays."""


def choose(model: Model[Any], device: torch.device, engine: str = AUTO, precision: str = AUTO) -> Choice:
    """Return the engine and the precision of a model's predictions.

    Args:
        model: what predicts.
        device: where.
        engine: a name of `ENGINES`, or `auto`: of an exported file the one that its ending stands for; else the one
            that the environment variable AVSEG_ENGINE names; else OpenVINO on a CPU where it is installed and the
            network has `LARGE` parameters or more; else PyTorch.
        precision: one of `PRECISIONS`, or `auto`: what an exported file was made in, fp16 only where the CPU has units
            for it; of other models bf16 with OpenVINO where the CPU has units for it; else fp32.

    Raises:
        ImportError: the engine is not installed.
        ValueError: an unknown engine or precision, or one that does not go with the other, the model or the device.
    """
    Choice(engine, precision).check()
    if model.exported is not None:
        return _of_file(model.exported, device, engine, precision)
    if engine == AUTO:
        engine = _usual(model, device)
    if precision == AUTO:
        precision = "bf16" if engine == "openvino" and _has("bf16") else "fp32"
    Choice(engine, precision).check()
    if precision == "int8":
        raise ValueError(
            "int8 needs clips for calibration: avseg export MODEL --to openvino --precision "
            "int8 --clips DIR writes a file that opens like a model"
        )
    if (engine, precision) != ("torch", "fp32") and not _parts(model):
        raise ValueError(
            f"models of the family {model.config.family} have no part that an "
            "engine can run; use engine torch with fp32"
        )
    return Choice(engine, precision)


def _usual(model: Model[Any], device: torch.device) -> str:
    if named := os.environ.get("AVSEG_ENGINE", ""):
        if named not in ENGINES:
            raise ValueError(f"AVSEG_ENGINE is {named!r}; {did_you_mean(named, ENGINES)}")
        return named
    large = sum(parameter.numel() for parameter in model.parameters()) >= LARGE
    return "openvino" if device.type == "cpu" and large and ENGINES["openvino"].is_here and _parts(model) else "torch"


def _parts(model: Model[Any]) -> list[str]:
    return [name for name in model.seams if called(model, name) is not None]


def _has(precision: str) -> bool:
    """Whether the CPU has units for a precision that OpenVINO uses."""
    return bool(imported("avseg.engines.openvino_engine:can")(precision))


def _of_file(exported: Any, device: torch.device, engine: str, precision: str) -> Choice:
    suffix = exported.suffix
    engine = exported.engine if engine == AUTO else engine
    reads = ENGINES[engine].reads
    if suffix not in reads:
        raise ValueError(f"engine {engine} does not run {suffix} files; it runs {', '.join(reads)}")
    if exported.precision == "int8" and precision not in (AUTO, "int8"):
        raise ValueError(f"{exported.path} is in int8 and cannot change; leave out precision {precision}")
    if precision == "int8" and exported.precision != "int8":
        raise ValueError(
            f"{exported.path} is in {exported.precision}; make a file in int8 with avseg export MODEL --to openvino "
            "--precision int8 --clips DIR"
        )
    if precision == AUTO:
        precision = exported.precision if exported.precision != "fp16" or _has("fp16") else "fp32"
    chosen = Choice(engine, precision)
    chosen.check()
    return chosen
