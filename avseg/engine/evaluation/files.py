"""Evaluation of a model file, or a file of predicted tracks, on a split, and its output folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from avseg.data.base import ClipDataset, tasks_apart
from avseg.data.config import DataConfig, refuse_idle
from avseg.data.loader import workers_here
from avseg.data.transforms import apply, eval_transforms
from avseg.datasets import build_dataset, own_config
from avseg.device import find_device
from avseg.engine.evaluation.evaluate import evaluate, rank_and_world, score
from avseg.engine.evaluation.pictures import Look, write_pictures
from avseg.engine.evaluation.report import Report
from avseg.engine.processes import leaving_together
from avseg.engines.attach import attached
from avseg.engines.choice import choose
from avseg.engines.records import EXACT, Choice
from avseg.io.files import clear_stale
from avseg.io.youtube_vis import read_results, write_results
from avseg.metrics import SUITES, metrics_of
from avseg.metrics.base import Metric, Row
from avseg.metrics.stored import SUMS, write_sums
from avseg.models import load_model
from avseg.models.base import Model
from avseg.models.opening import refuse_choices
from avseg.types import Batch, Clip, InstancePrediction, Prediction, Target, Task

FILE = "predictions.json"
"""Name of the file that an evaluation of tracks leaves in its folder."""


class KeptTracks:
    """Keeps predicted tracks during an evaluation: a metric without scores.

    Dense predictions are not kept: they would be too much.
    """

    def __init__(self, beside: Metric) -> None:
        self.suite, self.protocol = beside.suite, beside.protocol
        self.tracks: dict[int, InstancePrediction] = {}
        """By the place of the clip in the data set; on the CPU."""

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        if isinstance(prediction, InstancePrediction):
            names = ("scores", "classes", "track_ids")
            self.tracks[index] = replace(prediction, **{name: getattr(prediction, name).cpu() for name in names})

    def merge(self, other: KeptTracks) -> None:
        self.tracks.update(other.tracks)

    def compute(self) -> dict[str, float]:
        return {}

    def rows(self) -> list[Row]:
        return []


def evaluate_file(
    model_path: str | os.PathLike[str],
    data: DataConfig,
    *,
    split: str = "test",
    protocol: str | Sequence[str] = "published",
    suites: Sequence[str] = (),
    out: Path | None = None,
    batch_size: int = 1,
    overlays: int = 0,
    **running: Any,
) -> Report:
    """Score a model file on a split of a data set, or tracks in the form of YouTube-VIS (a JSON).

    Args:
        model_path: A model (`avseg.models.load_model`), or predictions that somebody made of every video of the split;
            a model that opens by name gets the task of the data set.
        protocol: One or several; each suite is computed under those of them that it has.
        suites: Metric suites, all in one pass; by default the data set's own.
        out: Folder for result.json, clips.csv, sums.npz, the tracks of an instance model (predictions.json) and, with
            `overlays`, pictures of the best and the worst clips.
        overlays: Pictures of so many best and so many worst clips.
        running: `workers`, `device` and `choice` (engine and precision; by default PyTorch in fp32) of `Running`.

    Raises:
        ImportError: an engine that is not installed.
        ValueError: overlays without a folder, a model of another task than the data set, unknown names, options that
            change nothing here.
    """
    if overlays and out is None:
        raise ValueError("overlay pictures need a folder to be written to; give --out DIR")
    given = Running(**running)
    refuse_idle(own_config(data), split)
    dataset = build_dataset(data, split)
    protocols = [protocol] if isinstance(protocol, str) else list(protocol)
    metrics = metrics_wanted(dataset, suites, protocols)
    started = time.monotonic()
    if are_results(model_path):
        refuse_choices(model_path)
        if batch_size != 1 or given.device not in ("auto", "cpu"):
            raise ValueError(f"{model_path} holds tracks instead of a model; leave out --batch-size and --device")
        judged = judge_tracks(Path(model_path), dataset, metrics)
        report = Report.of(metrics, model_path, dataset.config, split, time.monotonic() - started, main=True)
        _write(report, out, overlays, judged, metrics, dataset.task)
        return report
    with working_on(given.device) as place:
        model = load_model(model_path, device=str(place), task=dataset.task)
        choice = choose(model, place, given.choice.engine, given.choice.precision)
        judged = judge_model(
            attached(model, choice, place),
            dataset,
            metrics,
            keep=out is not None,
            batch_size=batch_size,
            device=str(place),
            workers=given.workers,
        )
        seconds, main = time.monotonic() - started, rank_and_world()[0] == 0
        report = Report.of(metrics, model_path, dataset.config, split, seconds, main)
        report = replace(report, weights=model.config.origins, choice=choice)
        if report.main:
            _write(report, out, overlays, judged, metrics, dataset.task)
            if out is not None and judged.tracks:
                write_tracks(out / FILE, judged.tracks, dataset)
    return report


@dataclass(frozen=True)
class Running:
    """How an evaluation runs."""

    workers: int = 0
    """Processes that read clips."""
    device: str = "auto"
    choice: Choice = EXACT
    """Engine and precision."""


@dataclass(frozen=True)
class Judged:
    """A source of predictions after the metrics have processed a split."""

    task: Task
    """As which its predictions are shown: of a model of other classes the foreground alone is scored and shown."""
    look: Look
    tracks: Mapping[int, InstancePrediction]
    """Known tracks by the index of their clip."""


def judge_model(
    model: Model[Any],
    dataset: ClipDataset,
    metrics: Sequence[Metric],
    *,
    keep: bool = True,
    batch_size: int = 1,
    device: str = "auto",
    workers: int = 0,
    progress: bool = True,
) -> Judged:
    """Feed the metrics with what a model predicts of every clip.

    Args:
        keep: Tracks are kept, to be shown or written.
        batch_size, device, workers, progress: As `evaluate` has them.

    Raises:
        ValueError: a model of another task than the data set, and all that `evaluate` refuses.
    """
    check_tasks(model, dataset, metrics)
    kept = KeptTracks(metrics[0])
    evaluate(
        model,
        dataset,
        [*metrics, kept] if keep else metrics,
        batch_size=batch_size,
        device=device,
        workers=workers_here(workers),
        progress=progress,
    )
    shown = dataset.task if model.task == dataset.task else Task("binary")
    return Judged(shown, _looker(model, dataset, metrics[0].protocol, kept.tracks), kept.tracks)


def judge_tracks(path: Path, dataset: ClipDataset, metrics: Sequence[Metric]) -> Judged:
    """Feed the metrics with predicted tracks; see `read_tracks`."""
    tracks = read_tracks(path, dataset)
    score(tracks.values(), dataset, metrics)
    return Judged(dataset.task, lambda index: (dataset[index], tracks[index]), tracks)


def metrics_wanted(dataset: ClipDataset, suites: Sequence[str], protocols: Sequence[str]) -> list[Metric]:
    """Fresh metrics of `suites`, by default of the data set's own.

    Raises:
        ValueError: all that `metrics_of` refuses, and a suite of scenarios of sound.
    """
    metrics = metrics_of(dataset.task, suites or [dataset.suite], protocols)
    for metric in metrics:
        if SUITES[metric.suite].by_scenario:
            raise ValueError(
                f"the suite {metric.suite} scores clips under several sounds, which this command does not support; use "
                f"avseg listen MODEL --data.name NAME --protocol {metric.protocol}"
            )
    return metrics


def _write(
    report: Report, out: Path | None, overlays: int, judged: Judged, metrics: Sequence[Metric], task: Task
) -> None:
    if out is None:
        return
    for folder in (out, out / "overlays"):
        clear_stale(folder)
    write_sums(out / SUMS, metrics, task)
    report.write(out)
    if overlays:
        write_pictures(judged.task, report, out / "overlays", overlays, judged.look)


def _looker(model: Model[Any], dataset: ClipDataset, protocol: str, kept: Mapping[int, InstancePrediction]) -> Look:
    """Return a function that gives a clip and its prediction again, from kept tracks or else from the model."""

    def look(index: int) -> tuple[Clip, Prediction]:
        if index in kept:
            return dataset[index], kept[index]
        transforms = eval_transforms(dataset.config, model.config.input, protocol=protocol)
        clip = apply(transforms, dataset[index], torch.Generator().manual_seed(0))
        place = next((one.device for one in model.parameters()), torch.device("cpu"))
        batch = Batch.collate([clip], dataset.batch_frames).to(place)
        return clip, model.predict(batch)[0]

    return look


def check_tasks(model: Model[Any], dataset: ClipDataset, metrics: Sequence[Metric]) -> None:
    """
    Raises:
        ValueError: a model of another task than the data set, where the metrics look at classes or tracks.
    """
    classes_matter = model.task.kind == "instance" or not all(SUITES[m.suite].foreground_only for m in metrics)
    if model.task != dataset.task and classes_matter:
        apart = tasks_apart(model.task, dataset.task, dataset.config.name)
        raise ValueError(f"{apart}; use a model trained for it")


def are_results(source: str | os.PathLike[str]) -> bool:
    """Whether `avseg evaluate` is given predicted tracks instead of a model."""
    return Path(source).suffix.lower() == ".json"


def read_tracks(path: Path, dataset: ClipDataset) -> dict[int, InstancePrediction]:
    """The predictions of a file by their place in the data set.

    Raises:
        ValueError: a data set whose videos have no numbers, and all that `avseg.io.youtube_vis` refuses.
        FileNotFoundError: no such file.
    """
    if not dataset.video_ids:
        raise ValueError(
            f"{path} is read as tracks in the YouTube-VIS format, but the data set {dataset.config.name!r} "
            "has no tracks; give a model file, or a data set with tracks"
        )
    places = {clip_id: index for index, clip_id in enumerate(dataset.ids)}
    return {places[prediction.id]: prediction for prediction in read_results(path, dataset)}


def write_tracks(path: Path, predictions: Mapping[int, InstancePrediction], dataset: ClipDataset) -> Path:
    """Write predictions, by their place in the data set, under the numbers that the data set has for its videos."""
    tracks = [predictions[index] for index in sorted(predictions)]
    numbers = dataset.video_ids or {clip_id: place for place, clip_id in enumerate(dataset.ids, 1)}
    return write_results(tracks, path, numbers, categories=dataset.category_ids or None)


@contextmanager
def working_on(device: str) -> Iterator[torch.device]:
    """The device to work on; under torchrun or `accelerate launch`, with a process group while the block lasts."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield find_device(device)
        return
    from accelerate import PartialState

    with leaving_together():
        state = PartialState(cpu=device == "cpu")
        yield state.device if device == "auto" else torch.device(device)
