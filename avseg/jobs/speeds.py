"""Speed of a model on this machine; each engine and precision runs in its own process, to measure its memory.

Imports no torch.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avseg.jobs.child import Child
from avseg.jobs.errors import JobError, WorkerDied
from avseg.lazy import imported
from avseg.models.opening import ModelSource
from avseg.progress import tracked
from avseg.version import __version__

if TYPE_CHECKING:
    from avseg.engines.speed import ModelFacts, Speed

ADDRESS = "avseg.engines.speed:Measuring"
DOING = "measures the model"


@dataclass(frozen=True)
class SpeedRow:
    """Figures of one engine and precision."""

    engine: str
    precision: str
    usual: bool = False
    """Whether `auto` selects it."""
    frames_per_second: float | None = None
    seconds_per_frame: float | None = None
    first_seconds: float | None = None
    """Duration of the first prediction in s, including compilation."""
    peak_mib: float | None = None
    """Peak memory of a process that opens the model and predicts; on CUDA, GPU memory."""
    matrix_flops: float | None = None
    """Operations per second of a matrix product in this precision."""
    floor_seconds: float | None = None
    """Duration of a frame's operations at that speed in s."""
    fault: str = ""
    """Reason for missing figures."""


@dataclass(frozen=True)
class SpeedReport:
    """Figures of a model in all engines and precisions."""

    model: str
    machine: str
    facts: ModelFacts
    rows: list[SpeedRow] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Number of pictures of a timed prediction."""
        return self.facts.sample.clips * self.facts.sample.frames

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        facts, frames = asdict(self.facts), self.frames
        sample = facts.pop("sample")
        return {
            "avseg": __version__,
            "model": self.model,
            "machine": self.machine,
            **{name: facts[name] for name in ("family", "task", "parameters", "device", "threads", "missing")},
            "flops_per_frame": facts["flops"] / frames,
            "frames": frames,
            "size": list(sample["size"]),
            "rows": [asdict(row) for row in self.rows],
        }


def measured(
    source: ModelSource,
    *,
    engines: Sequence[str] = (),
    precisions: Sequence[str] = (),
    device: str = "auto",
    video: tuple[int, int] = (360, 640),
    frames: int = 5,
    quick: bool = False,
) -> SpeedReport:
    """Measure a model in every available engine and precision, one after the other.

    Args:
        source: what `load_model` takes, or FAMILY-PRESET.
        engines, precisions: only these; none: all that can be had.
        device: see `avseg.device.find_device`.
        video: (H, W) of the video that pictures would come from.
        frames: pictures of a prediction, in whole groups of the model's.
        quick: one prediction instead of several seconds of them.

    Raises:
        JobError: the model cannot be opened, or nothing that was asked for can be had.
        ValueError: a size or a number below 1.
    """
    if frames < 1 or min(video) < 1:
        raise ValueError(f"got {frames} frames of {video[0]} x {video[1]}, wanted 1 or more of each")
    facts: ModelFacts = _asked(source, device, (tuple(video), frames))
    report = SpeedReport(Path(str(source)).name, machine(), facts)
    wanted = list(_wanted(facts, engines, precisions))
    if not wanted:
        had = ", ".join(" in ".join(choice) for choice in facts.choices)
        raise JobError(f"none of the requested engines and precisions is available; this model runs here with {had}")
    for engine, precision in tracked(wanted, f"benchmark {report.model}", "engine"):
        report.rows.append(_row(source, device, facts, (engine, precision), quick))
    return report


def _wanted(facts: ModelFacts, engines: Sequence[str], precisions: Sequence[str]) -> Iterator[tuple[str, str]]:
    for engine, precision in facts.choices:
        if engine in (engines or (engine,)) and precision in (precisions or (precision,)):
            yield engine, precision


def _row(source: ModelSource, device: str, facts: ModelFacts, choice: tuple[str, str], quick: bool) -> SpeedRow:
    usual, frames = choice == facts.usual, facts.sample.clips * facts.sample.frames
    try:
        question = imported("avseg.engines.speed:Question")(*choice, facts.sample, quick)
        speed: Speed = _asked(source, device, question)
    except (JobError, WorkerDied) as error:
        return SpeedRow(*choice, usual, fault=str(error))
    seconds = speed.seconds / frames
    return SpeedRow(
        *choice,
        usual,
        frames_per_second=1 / seconds,
        seconds_per_frame=seconds,
        first_seconds=speed.first,
        peak_mib=speed.peak_mib,
        matrix_flops=speed.matrix_flops,
        floor_seconds=facts.flops / frames / speed.matrix_flops if speed.matrix_flops else None,
    )


def _asked(source: ModelSource, device: str, question: Any) -> Any:
    """Ask a process one question and end it."""
    child = Child(ADDRESS, source, device, doing=DOING)
    try:
        return child.ask(question)
    finally:
        child.close()


def machine() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
