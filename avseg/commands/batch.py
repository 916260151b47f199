"""`avseg batch`: many videos on one machine or many."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from avseg.commands.opening import SettledModel
from avseg.commands.session import SessionChoices
from avseg.commands.source import SourceChoices
from avseg.commands.words import Video
from avseg.lazy import imported

_OUT = Annotated[str, arg(metavar="DIR|URL")]


@dataclass(frozen=True)
class BatchSaving:
    """What is written of a video beside result.json."""

    masks: Literal["rle", "parquet", "png", "npz", "none"] = "rle"
    """The form of the masks. parquet: as rle, and all videos gathered in Parquet files (avseg[parquet])."""
    save: tuple[str, ...] = ()
    """Further kinds of output, as avseg predict --save has them."""
    parquet_files: int = 64
    """Number of Parquet files; the hash of a video's name says to which it belongs."""


@dataclass(frozen=True)
class BatchRunning:
    """What computes: the same on every machine, so that results have the same bytes."""

    devices: tuple[str, ...] = ("auto",)
    """Where the processes of a machine run, in turn: auto (its GPUs, else the CPU), cpu, cuda:0 ..."""
    engine: Literal["torch", "openvino", "onnxruntime"] = "torch"
    """What computes the network."""
    precision: Literal["fp32", "bf16", "fp16", "int8"] = "fp32"
    """In which numbers."""
    threads: int = 1
    """Threads of one process; another number may give other last digits."""


@dataclass(frozen=True)
class RayChoices:
    """Of --runner ray."""

    address: str | None = None
    """A running cluster, such as auto or ray://head:10001; by default RAY_ADDRESS, else one of this machine alone."""
    least: int = 1
    """Actors at the beginning; Ray adds more, up to --jobs, while videos wait and there is room."""
    cpus: float = 1.0
    """CPUs of an actor."""
    gpus: float = 0.0
    """GPUs of an actor; 0.5 lets two share one."""


@dataclass(frozen=True)
class BatchRunner:
    """Who does the work."""

    runner: Literal["local", "shards", "ray"] = "local"
    """local: processes of this machine. shards: the same for one of N equal parts of the list. ray: a Ray cluster."""
    jobs: int = 1
    """Processes of this machine, or the most actors at a time."""
    num_shards: int | None = None
    """N, of --runner shards."""
    shard_index: int | None = None
    """Which part, from 0 to N - 1."""
    tries: int = 3
    """How often a video is tried before it counts as failed."""
    patience: float | None = None
    """Seconds that one try may last; by default any time."""
    ray: RayChoices = RayChoices()

    @property
    def shard(self) -> tuple[int, int] | None:
        """Index and number.

        Raises:
            ValueError: one without the other, or a runner that has none.
        """
        index, number = self.shard_index, self.num_shards
        if self.runner != "shards":
            if index is not None or number is not None:
                raise ValueError(f"--num-shards and --shard-index are for --runner shards, and it is {self.runner}")
            return None
        if index is None or number is None:
            raise ValueError("--runner shards wants --num-shards N and --shard-index I, from 0 to N - 1")
        if not 0 <= index < number:
            raise ValueError(
                f"--shard-index is {index} and --num-shards {number}; wanted an index from 0 to {number - 1}"
            )
        return index, number

    def of(self, plan: Any) -> Any:
        """What does the work of a plan.

        Raises:
            ValueError: numbers that cannot be.
            ImportError: the extra is not installed.
        """
        if self.runner != "ray":
            return imported("avseg.batch.runner:LocalRunner")(plan, self.jobs, self.runner)
        on_ray = "avseg.batch.on_ray"
        pool = imported(f"{on_ray}:RayPool")(self.ray.address, self.ray.least, self.jobs, self.ray.cpus, self.ray.gpus)
        return imported(f"{on_ray}:RayRunner")(plan, pool)


def batch(
    videos: Positional[Video[list[str]]],
    model: Annotated[SettledModel, arg(name="")] = SettledModel(),
    out: _OUT = "avseg-batch",
    fps: float | None = None,
    saving: Annotated[BatchSaving, arg(name="")] = BatchSaving(),
    runner: Annotated[BatchRunner, arg(name="")] = BatchRunner(),
    running: Annotated[BatchRunning, arg(name="")] = BatchRunning(),
    source: Annotated[SourceChoices, arg(name="")] = SourceChoices(),
    options: Annotated[SessionChoices, arg(name="")] = SessionChoices(),
) -> int:
    """Segment a list of videos on one machine or many; what is done is skipped, and a killed run goes on.

    Args:
        videos: Folders, patterns, lists (.txt, .csv, .parquet) or addresses such as s3://bucket/clips (avseg[remote]).
        model: What segments.
        out: Folder or address of the results: videos/, manifest.jsonl, and masks/ with --masks parquet.
        fps: Masks per second of video. The default is 5, or 1 for models that see a whole clip, such as AVISM.
        saving: What is written.
        runner: Who does the work.
        running: What computes.
        source: What is used of a video.
        options: Which objects are told of, and options of single families.
    """
    if saving.masks == "parquet" and find_spec("pyarrow") is None:
        raise ImportError('--masks parquet needs pyarrow; install it with: pip install "avseg[parquet]"')
    shard = runner.shard
    plan = imported("avseg.batch.plan:BatchPlan")(
        model=os.fspath(model.source),
        out=out,
        masks=saving.masks,
        save=saving.save,
        fps=fps,
        threshold=options.only.get("threshold"),
        classes=options.only.get("classes"),
        start=source.start,
        end=source.end,
        audio=None if source.audio is None else str(source.audio),
        choices=dict(model.choices),
        options=options.given,
        engine=running.engine,
        precision=running.precision,
        threads=running.threads,
        parts=saving.parquet_files,
        devices=running.devices,
        tries=runner.tries,
        patience=runner.patience,
    )
    report = imported("avseg.batch.run:run_batch")(plan, videos, runner.of(plan), shard)
    print(report.summary)
    return int(report.exit_code)
