"""Videos an hour of a cluster, simulated from the times of the stages of one video.

    python benchmarks/cost_model.py --out stages.json            measures the stages with the demo model
    python benchmarks/cost_model.py --stages stages.json         prints the tables from stage times measured before
    python benchmarks/cost_model.py --stages stages.json --gpu-frames-per-second X --cores-per-gpu 8

The stages are decode (pictures and sound, sized for the network), network, and write (everything behind the network:
masks, run lengths, files). They are measured in processor time of one process with one thread, as `avseg batch` runs.
GPU times are never measured or guessed here: X is the number of frames a second that `avseg benchmark` prints on your
GPU for your model.
The simulation adds stages of one worker, and takes the slowest of GPU, its cores and the storage. It leaves out the
start of a process, failures, and what a shared disk or network costs beside its bandwidth.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import conditions, in_turn, options_of, parser, tell
from predict import SEGMENT, segment

HOUR = 3600
VIDEOS = (200_000, 10_000_000)
CORES = (100, 1000, 10_000)
GPUS = (1, 8, 64)


@dataclass(frozen=True)
class Stages:
    """What one video costs."""

    video_seconds: float
    """Length of the video."""
    frames: int
    """Pictures that the network sees of it."""
    decode: float
    """s of processor time."""
    network: float
    """The same, on a CPU."""
    write: float
    """The same, of everything behind the network."""
    bytes_in: int
    """Size of the video."""
    bytes_out: int
    """Size of its result."""
    files_out: int
    """Files of its result."""

    @property
    def cpu(self) -> float:
        """s of processor time without a GPU."""
        return self.decode + self.network + self.write

    @property
    def beside_gpu(self) -> float:
        """s of processor time where a GPU runs the network."""
        return self.decode + self.write


@dataclass(frozen=True)
class Rate:
    """How fast a cluster is, and what limits it."""

    per_second: float
    limit: str

    @property
    def per_hour(self) -> float:
        return HOUR * self.per_second


def slowest(limits: dict[str, float]) -> Rate:
    """The least of several rates (videos a second), by name."""
    limit = min(limits, key=lambda name: limits[name])
    return Rate(limits[limit], limit)


def storage(stages: Stages, read: float | None, write: float | None) -> dict[str, float]:
    """Videos a second that a storage lets through, of its bandwidths in MB/s; none where none is given."""
    limits = {}
    if read is not None:
        limits["reading"] = read * 1e6 / stages.bytes_in
    if write is not None:
        limits["writing"] = write * 1e6 / stages.bytes_out
    return limits


def on_cores(stages: Stages, cores: int, scaling: float = 1.0) -> Rate:
    """A worker on each core; `scaling` is the part of a core that a worker has when all are busy."""
    busiest = max(("decode", "network", "write"), key=lambda stage: float(getattr(stages, stage)))
    return Rate(scaling * cores / stages.cpu, busiest)


def on_gpus(stages: Stages, gpus: int, frames_per_second: float, cores: int, scaling: float = 1.0) -> Rate:
    """GPUs with `cores` cores each, enough workers to keep both busy."""
    return slowest(
        {
            "network (GPU)": gpus * frames_per_second / stages.frames,
            "decode and write (cores)": scaling * gpus * cores / stages.beside_gpu,
        }
    )


def behind(storage_limits: dict[str, float], rate: Rate) -> Rate:
    """The same with a storage that all workers share."""
    return slowest({rate.limit: rate.per_second, **storage_limits})


def measure(options: Namespace) -> Stages:
    """The stages of one film with the demo model, the median of `--repeats`."""
    from avseg.inference import Segmenter, predict_folder
    from avseg.inference.source import clips_of
    from avseg.io.media import probe
    from avseg.types import Batch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = segment(folder / "film.mp4", *options.size, options.video_fps)
        segmenter = Segmenter.load("demo", fps=options.fps, device="cpu")
        info = probe(video)
        of_video = (info, segmenter.model.config, segmenter.plan, segmenter.plan.span(25))
        clips = list(clips_of(*of_video))

        def network() -> None:
            session = segmenter.session()  # each frame is a group of the demo model
            for clip in clips:
                singles = [clip.take([k]) for k in range(len(clip.frames))]
                for part in session.budget.pieces(len(singles), session.frames_at_once or 0):
                    session.step(Batch.collate(singles[part]))

        def whole() -> None:
            report = predict_folder(segmenter, [video], folder / "out", masks="rle", overwrite=True)
            assert not report.failed, report

        runs: dict[str, Callable[[], Any]] = {
            "decode": lambda: [None for _ in clips_of(*of_video)],
            "network": network,
            "whole": whole,
        }
        seconds = {name: spent.cpu for name, spent in in_turn(runs, options.repeats, pick=statistics.median).items()}
        files = [path for path in (folder / "out").rglob("*") if path.is_file()]
        return Stages(
            video_seconds=SEGMENT,
            frames=sum(len(clip.frames) for clip in clips),
            decode=seconds["decode"],
            network=seconds["network"],
            write=max(0.0, seconds["whole"] - seconds["decode"] - seconds["network"]),
            bytes_in=video.stat().st_size,
            bytes_out=sum(path.stat().st_size for path in files),
            files_out=len(files),
        )


def days(videos: int, rate: Rate) -> str:
    """Minutes below an hour, hours below two days, days above."""
    hours = videos / rate.per_hour
    if hours < 1:
        return f"{60 * hours:,.1f} min"
    return f"{hours:,.1f} h" if hours < 48 else f"{hours / 24:,.1f} days"


def rows(stages: Stages, options: Namespace) -> Iterator[list[str]]:
    """One for each size of a cluster."""
    limits = storage(stages, options.read, options.write)
    sizes = [(f"{cores:,} cores", on_cores(stages, cores, options.scaling)) for cores in CORES]
    if options.gpu_frames_per_second:
        rate, cores = options.gpu_frames_per_second, options.cores_per_gpu
        sizes += [
            (f"{gpus} GPU, {cores} cores each", on_gpus(stages, gpus, rate, cores, options.scaling)) for gpus in GPUS
        ]
    for name, alone in sizes:
        shared = behind(limits, alone)
        traffic = [f"{shared.per_second * size / 1e6:,.1f}" for size in (stages.bytes_in, stages.bytes_out)]
        yield [name, f"{shared.per_hour:,.0f}", shared.limit, *traffic, *(days(videos, shared) for videos in VIDEOS)]


def table(stages: Stages, options: Namespace) -> str:
    """In Markdown."""
    head = ["machines", "videos an hour", "most time, or limit", "MB/s read", "MB/s written"]
    head += [f"{videos:,} videos" for videos in VIDEOS]
    lines = [head, ["---"] * len(head), *rows(stages, options)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def notes(stages: Stages, options: Namespace) -> list[str]:
    """What the table does not say."""
    most = max(VIDEOS)
    told = [
        f"one video: {stages.video_seconds:g} s, {stages.frames} frames; decode {stages.decode:.3f} s, network "
        f"{stages.network:.3f} s, write {stages.write:.3f} s of one core; {stages.bytes_in:,} bytes in, "
        f"{stages.bytes_out:,} bytes out in {stages.files_out} files",
        f"{most:,} videos: {most * stages.bytes_in / 1e12:.2f} TB in, {most * stages.bytes_out / 1e12:.2f} TB out in "
        f"{most * stages.files_out:,} files, {most * stages.cpu / HOUR:,.0f} core hours without a GPU",
        f"a GPU of X frames/s is kept busy by X / {stages.frames / stages.beside_gpu:,.0f} cores",
    ]
    if options.gpu_frames_per_second:
        busy = options.gpu_frames_per_second * stages.beside_gpu / stages.frames
        told.append(f"at {options.gpu_frames_per_second:g} frames/s these are {busy:.1f} cores for one GPU")
    return told


def main() -> None:
    shared = parser(__doc__, threads=1)
    shared.add_argument("--stages", type=Path, help="JSON of this script, or of your own with the fields of `Stages`")
    shared.add_argument("--fps", type=float, default=5.0, help="masks a second of video")
    shared.add_argument("--size", type=int, nargs=2, default=[640, 360], metavar=("W", "H"), help="of the film")
    shared.add_argument("--video-fps", type=int, default=25, help="pictures a second of the film")
    shared.add_argument("--repeats", type=int, default=3)
    shared.add_argument("--scaling", type=float, default=1.0, help="part of a core that a worker has when all are busy")
    shared.add_argument("--gpu-frames-per-second", type=float, help="of `avseg benchmark` on your GPU")
    shared.add_argument("--cores-per-gpu", type=int, default=8)
    shared.add_argument("--read", type=float, help="MB/s that the storage reads for all workers together")
    shared.add_argument("--write", type=float, help="MB/s that it writes")
    options = options_of(shared)
    if options.stages:
        stages = Stages(**json.loads(options.stages.read_text(encoding="utf-8"))["stages"])
    else:
        stages = measure(options)
        tell({"benchmark": "cost_model", "stages": asdict(stages), **conditions(options), "clock": "cpu"}, options.out)
    print(table(stages, options))
    print(
        "\n".join(["", *notes(stages, options), "simulated from the times of the stages; see the top of this script"])
    )


if __name__ == "__main__":
    main()
