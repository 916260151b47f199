"""`avseg benchmark`: measure the speed of a model on this machine."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from tyro.conf import arg

from avseg.commands.opening import MeasuredModel
from avseg.commands.tables import print_table
from avseg.lazy import imported

_Engines = tuple[Literal["torch", "openvino", "onnxruntime"], ...]
_Precisions = tuple[Literal["fp32", "bf16", "fp16", "int8"], ...]
_AsJson = Annotated[bool, arg(name="json")]


def benchmark(
    model: Annotated[MeasuredModel, arg(name="")],
    engine: _Engines = (),
    precision: _Precisions = (),
    device: str = "auto",
    frames: int = 5,
    size: tuple[int, int] = (360, 640),
    quick: bool = False,
    as_json: _AsJson = False,
) -> int:
    """Measure a model on this machine: parameters, operations, memory and frames per second, by engine and precision.

    Each installed engine and supported precision runs in its own process. The table also shows the floor: the time of a
    matrix product with the same number of operations.

    Args:
        model: The model to measure.
        engine: Measure only these engines. The default is all that are installed.
        precision: Measure only these precisions. The default is all that this machine supports.
        device: Device to run the model on: auto, cpu, cuda, cuda:1 or mps.
        frames: Number of frames predicted at once, rounded to whole groups of the model.
        size: Height and width of the source video.
        quick: Predict once instead of repeating for a second or more.
        as_json: Print JSON instead of the table.
    """
    report = imported("avseg.jobs.speeds:measured")(
        model.source, engines=engine, precisions=precision, device=device, video=size, frames=frames, quick=quick
    )
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        _print(report)
    return int(all(row.fault for row in report.rows))


def _print(report: Any) -> None:
    facts, frames = report.facts, report.frames
    height, width = facts.sample.size
    where = report.machine if facts.device == "cpu" else facts.device
    several = "s" * (facts.threads != 1)
    threads = f", {facts.threads} thread{several}" if facts.device == "cpu" else ""
    print(f"{report.model}: {facts.family}, {facts.task}, {_large(facts.parameters)} parameters")
    print(f"{_large(facts.flops / frames)} operations a picture of {width} x {height}, {frames} pictures at once")
    print(f"on {where}{threads}")
    print_table("", [_cells(row) for row in report.rows])
    if any(row.usual for row in report.rows):
        print("* marks the default of avseg predict")
    for row in report.rows:
        if row.fault:
            print(f"{row.engine} in {row.precision}: {row.fault}")
    for engine, remedy in facts.missing.items():
        print(f"{engine} is not installed: {remedy}")


def _cells(row: Any) -> dict[str, str]:
    times = row.seconds_per_frame / row.floor_seconds if row.floor_seconds and row.seconds_per_frame else None
    return {
        "engine": f"{row.engine}*" if row.usual else row.engine,
        "precision": row.precision,
        "frames/s": _number(row.frames_per_second),
        "ms/frame": _number(row.seconds_per_frame, 1000),
        "floor, ms": _number(row.floor_seconds, 1000),
        "times floor": _number(times),
        "first, s": _number(row.first_seconds),
        "memory, MiB": "-" if row.peak_mib is None else f"{row.peak_mib:.0f}",
    }


def _number(value: float | None, factor: float = 1.0) -> str:
    """Format a number with three digits, or with all digits before the point."""
    if value is None:
        return "-"
    value *= factor
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _large(value: float) -> str:
    """Format a large number, such as `93.4 million`."""
    for unit, name in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.0f}"
