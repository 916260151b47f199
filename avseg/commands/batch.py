"""`avseg batch`: segment many videos on one or several machines."""

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
    """Files to write for a video in addition to result.json."""

    masks: Literal["rle", "parquet", "png", "npz", "none"] = "rle"
    """Format of the masks. parquet: as rle, collected from all videos in Parquet files (avseg[parquet])."""
    save: tuple[str, ...] = ()
    """More kinds of output; avseg predict --help lists the kinds under --save."""
    parquet_files: int = 64
    """Number of Parquet files; the hash of a video's name selects its file."""


@dataclass(frozen=True)
class BatchRunning:
    """How to compute: the same on every machine, so that results have the same bytes."""

    devices: tuple[str, ...] = ("auto",)
    """Devices for the processes of a machine, in turn: auto (its GPUs, else the CPU), cpu, cuda:0 ..."""
    engine: Literal["torch", "openvino", "onnxruntime"] = "torch"
    """Engine that runs the network."""
    precision: Literal["fp32", "bf16", "fp16", "int8"] = "fp32"
    """Number format of the network."""
    threads: int = 1
    """Threads per process; another number can change the last digits of the results."""


@dataclass(frozen=True)
class RayChoices:
    """Options of --runner ray."""

    address: str | None = None
    """Address of a running cluster, such as auto or ray://head:10001. The default is RAY_ADDRESS, or else a new cluster
    on this machine.
    """
    least: int = 1
    """Number of actors at the start; Ray adds more, up to --jobs, while videos are queued and resources are free."""
    cpus: float = 1.0
    """CPUs per actor."""
    gpus: float = 0.0
    """GPUs per actor; 0.5 lets two actors share one."""


@dataclass(frozen=True)
class BatchRunner:
    """Runner and number of processes."""

    runner: Literal["local", "shards", "ray"] = "local"
    """local: processes on this machine. shards: the same, for one of N equal parts of the list. ray: a Ray cluster."""
    jobs: int = 1
    """Number of processes on this machine, or the maximum number of actors."""
    num_shards: int | None = None
    """Number of parts N for --runner shards."""
    shard_index: int | None = None
    """Part to process with --runner shards, from 0 to N - 1."""
    tries: int = 3
    """Attempts per video before it counts as failed."""
    patience: float | None = None
    """Time limit of one attempt in seconds. Unlimited by default."""
    ray: RayChoices = RayChoices()

    @property
    def shard(self) -> tuple[int, int] | None:
        """Return the index and the number of parts.

        Raises:
            ValueError: if one is missing, or the runner has no parts.
        """
        index, number = self.shard_index, self.num_shards
        if self.runner != "shards":
            if index is not None or number is not None:
                raise ValueError(f"--num-shards and --shard-index need --runner shards, got --runner {self.runner}")
            return None
        if index is None or number is None:
            raise ValueError("--runner shards needs --num-shards N and --shard-index I, from 0 to N - 1")
        if not 0 <= index < number:
            raise ValueError(
                f"--shard-index is {index} and --num-shards {number}; wanted an index from 0 to {number - 1}"
            )
        return index, number

    def of(self, plan: Any) -> Any:
        """Return the runner of a plan.

        Raises:
            ValueError: if a number is out of range.
            ImportError: if the extra is not installed.
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
    """Segment a list of videos on one or several machines; a restarted run skips finished videos.

    Args:
        videos: Folders, patterns, lists (.txt, .csv, .parquet) or addresses such as s3://bucket/clips (avseg[remote]).
        model: The model.
        out: Folder or address of the results: videos/, manifest.jsonl, and masks/ with --masks parquet.
        fps: Masks per second of video. The default is 5, or 1 for models that see a whole clip, such as AVISM.
        saving: Files to write.
        runner: Runner and number of processes.
        running: Devices and engine.
        source: Part of the video and its sound to use.
        options: Which objects to mark, and options of single families.
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
