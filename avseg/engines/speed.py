"""Speed of a model by engine and precision, and the floor: a matrix product with the same number of operations."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from avseg.device import find_device
from avseg.engines.attach import with_engine
from avseg.engines.choice import choose
from avseg.engines.records import ENGINES, PRECISIONS
from avseg.engines.samples import SampleShape, made_up
from avseg.lazy import imported
from avseg.models import FAMILIES
from avseg.models.base import Model
from avseg.models.files import build_model, create_model, load_model
from avseg.models.opening import ModelSource

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
RUNS, SECONDS = 3, 1.0
"""Minimum number of calls and minimum duration in s; the fastest call is reported."""
MATRIX = {"cpu": 2048, "cuda": 8192}
"""Size of the timed matrix product, by device type."""


@dataclass(frozen=True)
class Question:
    """The measurement of one process."""

    engine: str
    precision: str
    sample: SampleShape
    quick: bool = False
    """Make one call instead of several."""


@dataclass(frozen=True)
class Speed:
    """Speed of a model in an engine and a precision."""

    seconds: float
    """Duration of the fastest prediction of all pictures in s."""
    first: float
    """Duration of the first prediction in s, including compilation."""
    peak_mib: float | None
    """Peak memory of a process that opens the model and predicts; on CUDA, GPU memory. None: unknown."""
    matrix_flops: float | None
    """Operations per second of a matrix product in this precision; None in int8, which is not measured."""


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a model that do not depend on the engine."""

    family: str
    task: str
    parameters: int
    flops: float
    """Operations of a prediction of the sample, a multiplication and an addition being two; of a file of `avseg export`
    those of the model that it was made of."""
    sample: SampleShape
    device: str
    threads: int
    choices: tuple[tuple[str, str], ...]
    """(engine, precision) pairs that should work here, as far as is known before trying."""
    usual: tuple[str, str]
    """The selection of `auto`."""
    missing: dict[str, str]
    """Install command of each engine that is not installed."""


class Measuring:
    """Answers questions about one model in its own process (`avseg.jobs.child.Child`)."""

    def __init__(self, source: ModelSource, device: str) -> None:
        self.source, self.device = source, find_device(device)

    def __call__(self, question: Question | tuple[tuple[int, int], int], *_: Any) -> Speed | ModelFacts:
        """Answer (H, W) and a number of pictures with the facts, any other question with the speed."""
        if setting_of(self.source):
            os.environ["AVSEG_CACHE"] = os.environ.get("TMPDIR", "")  # graphs of random weights serve nobody again
        model = opened(self.source, self.device)
        if isinstance(question, Question):
            return speed(model, self.device, question)
        return facts(model, self.device, *question)


def published_settings() -> dict[str, tuple[str, str]]:
    """Return family and setting by FAMILY-PRESET, for all models that can be built without downloads."""
    families = {name: spec for name, spec in FAMILIES.items() if not spec.opening}
    return {f"{name}-{preset}": (name, preset) for name, spec in families.items() for preset in spec.presets}


def setting_of(source: ModelSource) -> tuple[str, str] | None:
    """Return family and setting of a name; None for other names and for existing files."""
    name = str(source)
    return None if Path(name).exists() else published_settings().get(name)


def opened(source: ModelSource, device: torch.device) -> Model[Any]:
    """Open a model with `load_model`, or build a published setting with seeded random weights.

    Raises:
        FileNotFoundError, ImportError, ValueError: see `load_model` and `create_model`.
    """
    setting = setting_of(source)
    if setting is None:
        return load_model(source, str(device))
    torch.manual_seed(0)
    return create_model(*setting).to(device).eval()


def facts(model: Model[Any], device: torch.device, video: tuple[int, int], frames: int) -> ModelFacts:
    """Measure the facts that do not depend on the engine.

    Args:
        model: any model.
        device: where it is to be measured.
        video: (H, W) of the video that pictures would come from.
        frames: how many pictures are predicted at once, about.
    """
    sample = SampleShape.of(model.config, video, frames)
    plain = model if model.exported is None else build_model(model.config, model.task).to(device).eval()
    plain.requires_grad_(False)  # or torch's counter stops where a part is given a parameter
    batch = made_up(model.config, sample).to(device)
    found, missing = [], {}
    for engine, record in ENGINES.items():
        if not record.is_here:
            missing[engine] = f'pip install "avseg[{record.extra}]"'
            continue
        found += [(engine, precision) for precision in PRECISIONS if _may_have(model, device, engine, precision)]
    usual = choose(model, device)
    return ModelFacts(
        family=model.config.family,
        task=model.task.kind,
        parameters=sum(parameter.numel() for parameter in plain.parameters()),
        flops=flops(lambda: plain.predict(batch)),
        sample=sample,
        device=str(device),
        threads=torch.get_num_threads(),
        choices=tuple(found),
        usual=(usual.engine, usual.precision),
        missing=missing,
    )


def _may_have(model: Model[Any], device: torch.device, engine: str, precision: str) -> bool:
    try:
        choose(model, device, engine, precision)
        imported(ENGINES[engine].address)(precision, device)
    except ValueError:
        return False
    return True


def flops(run: Callable[[], Any]) -> float:
    """Count the floating-point operations of products and convolutions during a call, including those on padding."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def speed(model: Model[Any], device: torch.device, question: Question) -> Speed:
    """Time predictions of made-up clips.

    Raises:
        ImportError, ValueError: an engine or a precision that is not for this model or machine.
    """
    fast = with_engine(model, question.engine, question.precision, str(device))
    batch = made_up(model.config, question.sample).to(device)
    took = [_seconds(lambda: fast.predict(batch), device)]
    least = (1, 0.0) if question.quick else (RUNS, SECONDS)
    while len(took) - 1 < least[0] or sum(took[1:]) < least[1]:
        took.append(_seconds(lambda: fast.predict(batch), device))
    peak = peak_mib(device)
    return Speed(min(took[1:]), took[0], peak, matrix_flops(question.precision, device))


def _seconds(run: Callable[[], Any], device: torch.device) -> float:
    begin = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def matrix_flops(precision: str, device: torch.device, seconds: float = 0.5) -> float | None:
    """Return operations per second of the fastest of several square matrix products; None in int8."""
    if precision not in DTYPES:
        return None
    side = MATRIX.get(device.type, MATRIX["cpu"])
    one = torch.rand(side, side, device=device).to(DTYPES[precision])
    with torch.inference_mode():
        took = [_seconds(lambda: one @ one, device)]
        while len(took) < RUNS or sum(took) < seconds:
            took.append(_seconds(lambda: one @ one, device))
    return 2 * side**3 / min(took)


def peak_mib(device: torch.device) -> float | None:
    """Return peak memory so far in MiB: of the GPU, or of this process; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "darwin":
        return float(imported("resource:getrusage")(0).ru_maxrss) / 2**20
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
