"""Evaluation: a model or saved predictions against a data set, in one process or several."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from avseg.data.base import ClipDataset, SizedReader, TruthReader, refuse_training_options
from avseg.data.config import DataConfig
from avseg.data.geometry import Geometry
from avseg.data.loader import make_loader, workers_here
from avseg.data.transforms import Transform, apply, eval_transforms
from avseg.device import find_device
from avseg.engine.judges import computed, metrics_of
from avseg.engine.processes import leaving_together
from avseg.engine.report import Report
from avseg.engine.results import FILE, are_results, keep, read_tracks, report_of, write_tracks
from avseg.io.files import clear_stale
from avseg.metrics import SUITES
from avseg.metrics.base import Metric
from avseg.progress import Progress
from avseg.types import Batch, Clip, Prediction, Target, Task

if TYPE_CHECKING:
    from avseg.engine.pictures import Look
    from avseg.models.base import Model


class Share:
    """Some clips of a data set, in a given order, as a data set; an index may stand there twice."""

    def __init__(self, dataset: ClipDataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, list(indices)
        self.task, self.suite, self.config = dataset.task, dataset.suite, dataset.config
        self.ids = [dataset.ids[index] for index in self.indices]
        self.batch_frames: int | None = getattr(dataset, "batch_frames", None)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Clip:
        return self.dataset[self.indices[index]]


class SizedShare(Share):
    """The same of a data set that sizes clips while it reads them."""

    def read(self, index: int, geometry: Geometry | None = None) -> Clip:
        assert isinstance(self.dataset, SizedReader)
        return self.dataset.read(self.indices[index], geometry)


def share_of(clips: int, batch_size: int, rank: int, world: int) -> list[int]:
    """Indices of the clips that process `rank` of `world` judges.

    Batches are those of a single process, dealt out in turn, so predictions do not depend on the number of processes.
    Every process gets as many batches (sharded models wait for each other); where they do not go round some are judged
    twice and counted once.
    """
    batches = [range(first, min(first + batch_size, clips)) for first in range(0, clips, batch_size)]
    steps = -(-len(batches) // world)
    return [index for step in range(steps) for index in batches[(step * world + rank) % len(batches)]]


def evaluate(
    model: Model[Any],
    dataset: ClipDataset,
    metrics: Sequence[Metric],
    *,
    batch_size: int = 1,
    device: str = "auto",
    transforms: Sequence[Transform] | None = None,
    workers: int = 0,
    progress: bool = False,
    kept: dict[int, Prediction] | None = None,
) -> dict[str, float]:
    """Predict every clip of `dataset` and score it; the scores by name.

    Where a process group exists every process must call this; each judges its share and all get the same scores, to the
    last bit those of a single process.

    Args:
        metrics: Fresh ones of `avseg.metrics.SUITES[dataset.suite](dataset.task, protocol)`; they keep the clips' rows.
            Those of several suites and protocols share one pass.
        batch_size: Clips predicted together; no protocol depends on it.
        device: auto (CUDA, else MPS, else CPU), or a torch device.
        transforms: Default: the data set's evaluation transforms for this model and the metrics' protocols.
        workers: Processes that read clips; 0: this one.
        progress: Show a bar on a terminal, lines elsewhere.
        kept: Gets the predicted tracks of every clip by its place in the data set, in all processes.

    Raises:
        ValueError: no metric, protocols that judge truth of different sizes, clips without truth, no clip at all, or
            batches of none.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, wanted at least 1")
    if not len(dataset):
        raise ValueError(f"the data set {dataset.config.name!r} has no clips here, so there is nothing to score")
    place = find_device(device)
    if transforms is None:
        transforms = _transforms_for(model, dataset, metrics)
    rank, world = _rank_and_world()
    kind = SizedShare if isinstance(dataset, SizedReader) else Share
    share = kind(dataset, share_of(len(dataset), batch_size, rank, world))
    loader = make_loader(share, transforms, batch_size=batch_size, seed=0, shuffle=False, workers=workers)
    model.to(place)
    with Progress(len(share), "evaluate", "clip", quiet=not progress or rank > 0) as shown:
        for batch in loader:
            for i, prediction in enumerate(model.predict(batch.to(place))):
                target, index = _existing(batch, i), share.indices[batch.index[i]]
                for metric in metrics:
                    metric.update(prediction, target, index)
                if kept is not None:
                    keep(kept, index, prediction)
            shown.advance(len(batch.ids))
    _merge_processes(metrics, kept, world)
    return computed(metrics)


def score(
    predictions: Iterable[Prediction],
    dataset: ClipDataset,
    metrics: Sequence[Metric],
    transforms: Sequence[Transform] = (),
) -> dict[str, float]:
    """Score predictions that were made elsewhere, one for every clip of `dataset`, matched by id.

    Args:
        transforms: Applied to each clip for its truth (a protocol may judge resized labels).

    Raises:
        ValueError: a clip the data set does not have, two predictions for one clip, or clips without one.
    """
    places = {clip_id: index for index, clip_id in enumerate(dataset.ids)}
    missing = dict(places)
    for prediction in predictions:
        if prediction.id not in places:
            raise ValueError(f"a prediction is for clip {prediction.id!r}, which the data set does not have")
        if missing.pop(prediction.id, None) is None:
            raise ValueError(f"two predictions are for clip {prediction.id!r}; give one for each clip")
        target = _truth(dataset, places[prediction.id], transforms)
        for metric in metrics:
            metric.update(prediction, target, places[prediction.id])
    if missing:
        raise ValueError(f"{len(missing)} of {len(places)} clips have no prediction: {', '.join([*missing][:5])} ...")
    return computed(metrics)


def evaluate_file(
    model_path: str | Path,
    data: DataConfig,
    *,
    split: str = "test",
    protocol: str | Sequence[str] = "published",
    suites: Sequence[str] = (),
    out: Path | None = None,
    batch_size: int = 1,
    workers: int = 0,
    device: str = "auto",
    overlays: int = 0,
) -> Report:
    """Score a model file on a split of a data set, or tracks in the form of YouTube-VIS (a JSON).

    Args:
        model_path: A model, or predictions that somebody made of every video of the split.
        protocol: One or several; each suite is judged under those of them that it has.
        suites: Metric suites, all judged in one pass; by default the data set's own.
        out: Folder for result.json, clips.csv, the tracks of an instance model (predictions.json) and, with `overlays`,
            pictures of the best and the worst clips.
        overlays: Pictures of so many best and so many worst clips.

    Raises:
        ValueError: overlays without a folder, a model of another task than the data set, unknown names, options that
            change nothing here.
    """
    from avseg.data import build_dataset
    from avseg.models import load_model

    if overlays and out is None:
        raise ValueError("overlay pictures need a folder to be written to; give --out DIR")
    refuse_training_options(data, split)
    dataset = build_dataset(data, split)
    protocols = [protocol] if isinstance(protocol, str) else list(protocol)
    metrics = metrics_of(dataset.task, suites or [dataset.suite], protocols)
    started = time.monotonic()
    if are_results(model_path):
        if batch_size != 1 or device not in ("auto", "cpu"):
            raise ValueError(f"{model_path} holds tracks and no model; leave out --batch-size and --device")
        tracks = read_tracks(Path(model_path), dataset)
        score(tracks.values(), dataset, metrics)
        report = report_of(metrics, model_path, data, split, started)
        _write(report, out, overlays, dataset, lambda index: (dataset[index], tracks[index]))
        return report
    with _processes(device) as place:
        model = load_model(model_path, device=str(place))
        _check_tasks(model, dataset, metrics)
        kept: dict[int, Prediction] = {}
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "workers": workers_here(workers),
            "kept": kept if out else None,
        }
        evaluate(model, dataset, metrics, device=str(place), progress=True, **options)
        report = report_of(metrics, model_path, data, split, started, main=_rank_and_world()[0] == 0)
        if report.main:
            _write(report, out, overlays, dataset, _looker(model, dataset, report.protocols[0], kept))
            if out is not None and kept:
                write_tracks(out / FILE, kept, dataset)
    return report


def _write(report: Report, out: Path | None, overlays: int, dataset: ClipDataset, look: Look) -> None:
    if out is None:
        return
    for folder in (out, out / "overlays"):
        clear_stale(folder)
    report.write(out)
    if overlays:
        from avseg.engine.pictures import write_pictures

        write_pictures(dataset.task, report, out / "overlays", overlays, look)


def _looker(model: Model[Any], dataset: ClipDataset, protocol: str, kept: Mapping[int, Prediction]) -> Look:
    """What gives a clip and its prediction once more: tracks that were kept, else the model."""

    def look(index: int) -> tuple[Clip, Prediction]:
        if index in kept:
            return dataset[index], kept[index]
        transforms = eval_transforms(dataset.config, model.config.input, protocol=protocol)
        clip = apply(transforms, dataset[index], torch.Generator().manual_seed(0))
        place = next(model.parameters()).device
        batch = Batch.collate([clip], getattr(dataset, "batch_frames", None)).to(place)
        return clip, model.predict(batch)[0]

    return look


def _transforms_for(model: Model[Any], dataset: ClipDataset, metrics: Sequence[Metric]) -> Sequence[Transform]:
    """The data set's evaluation transforms, which every protocol of the metrics must agree on."""
    protocols = list(dict.fromkeys(metric.protocol for metric in metrics))
    wanted = [eval_transforms(dataset.config, model.config.input, protocol=protocol) for protocol in protocols]
    for protocol, transforms in zip(protocols, wanted, strict=True):
        if transforms != wanted[0]:
            raise ValueError(
                f"the protocols {protocols[0]} and {protocol} judge {dataset.config.name!r} at labels of different "
                "sizes; evaluate them one after the other, or set --data.labels-at to file or input for both"
            )
    return wanted[0] if wanted else []


def _check_tasks(model: Model[Any], dataset: ClipDataset, metrics: Sequence[Metric]) -> None:
    classes_matter = model.task.kind == "instance" or not all(SUITES[m.suite].foreground_only for m in metrics)
    if model.task != dataset.task and classes_matter:
        raise ValueError(
            f"the model solves {_words(model.task)}, the data set {dataset.config.name!r} has {_words(dataset.task)}; "
            "take a model that was trained for it"
        )


def _words(task: Task) -> str:
    article = "an" if task.kind == "instance" else "a"
    return f"{article} {task.kind} task" + (f" of {len(task.classes)} classes" if task.classes else "")


def _truth(dataset: ClipDataset, index: int, transforms: Sequence[Transform]) -> Target:
    if not transforms and isinstance(dataset, TruthReader):
        return dataset.target(index)
    clip = apply(transforms, dataset[index], torch.Generator().manual_seed(0))
    if clip.target is None:
        raise ValueError(f"clip {clip.id!r} has no truth to be judged by")
    return clip.target


def _existing(batch: Batch, i: int) -> Target:
    """Truth of the frames of clip i that exist, without padded ones."""
    if batch.targets is None:
        raise ValueError(f"clip {batch.ids[i]!r} has no truth to be judged by")
    return batch.targets[i].take(batch.valid[i].nonzero().flatten())


def _rank_and_world() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _merge_processes(metrics: Sequence[Metric], kept: dict[int, Prediction] | None, world: int) -> None:
    if world == 1:
        return
    everyone: list[Any] = [None] * world
    distributed.all_gather_object(everyone, (list(metrics), kept))
    for others, predictions in everyone:
        for mine, other in zip(metrics, others, strict=True):
            mine.merge(other)
        if kept is not None:
            kept.update(predictions)


@contextmanager
def _processes(device: str) -> Iterator[torch.device]:
    """The device to work on; under torchrun or `accelerate launch`, with a process group while the block lasts."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield find_device(device)
        return
    from accelerate import PartialState

    with leaving_together():
        state = PartialState(cpu=device == "cpu")
        yield state.device if device == "auto" else torch.device(device)
