"""Predict every clip of a data set and score the predictions, in one process or several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from avseg.data.base import ClipDataset, Subset, need_dataset
from avseg.data.loader import make_loader
from avseg.data.transforms import Transform, apply, eval_transforms
from avseg.device import find_device
from avseg.engine.evaluation.report import computed
from avseg.metrics import metrics_of
from avseg.metrics.base import Metric
from avseg.progress import Progress
from avseg.types import Batch, Prediction, Target

if TYPE_CHECKING:
    from avseg.models.base import Model


def share_of(clips: int, batch_size: int, rank: int, world: int) -> list[int]:
    """Indices of the clips that process `rank` of `world` evaluates.

    Batches are those of a single process, dealt out in turn, so predictions do not depend on the number of processes.
    Every process gets as many batches (sharded models wait for each other); where they do not go round, some are
    predicted twice and counted once.
    """
    batches = [range(first, min(first + batch_size, clips)) for first in range(0, clips, batch_size)]
    steps = -(-len(batches) // world)
    return [index for step in range(steps) for index in batches[(step * world + rank) % len(batches)]]


def evaluate(
    model: Model[Any],
    dataset: ClipDataset,
    metrics: Sequence[Metric] | None = None,
    *,
    protocol: str | None = None,
    batch_size: int = 1,
    device: str = "auto",
    transforms: Sequence[Transform] | None = None,
    workers: int = 0,
    progress: bool = False,
) -> dict[str, float]:
    """Predict every clip of a data set and score the predictions.

    In a process group every process must call this function. Each one evaluates its share, and all return the same
    scores, equal to those of a single process to the last bit.

    Args:
        model: The model; it is moved to the device.
        dataset: Clips with ground truth.
        metrics: New metrics, as `avseg.metrics.metrics_of` makes them; several suites and protocols share one pass. The
            default is the data set's own suite.
        protocol: The protocol of the default metrics; None is `published`.
        batch_size: Clips predicted together. The scores do not depend on it.
        device: `auto` (CUDA, then MPS, then CPU), or a torch device.
        transforms: Applied to every clip. The default is the data set's evaluation transforms for this model and the
            protocols.
        workers: Processes that read clips; 0 reads them in this one.
        progress: Show a bar on a terminal, and lines elsewhere.

    Returns:
        The scores by name. With several suites or protocols the names are `suite/protocol/score`.

    Raises:
        ValueError: No metric, no clip, clips without ground truth, protocols that need labels of different sizes, a
            batch size below 1, or a protocol although metrics are given.

    Examples:
        >>> from avseg import build_dataset, evaluate, load_model
        >>> from avseg.data import data_config
        >>> config = data_config("synth", kind="semantic", held_out_clips=2, frames=2, size=64)
        >>> scores = evaluate(load_model("demo"), build_dataset(config, "test"), device="cpu")
        >>> sorted(scores)
        ['F', 'F_noBg', 'mIoU', 'mIoU_noBg']
    """
    metrics = _metrics(dataset, metrics, protocol)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, wanted at least 1")
    need_dataset(dataset)
    if not len(dataset):
        raise ValueError(
            f"the data set {dataset.config.name!r} has no clips in this split, so there is nothing to score"
        )
    place = find_device(device)
    if transforms is None:
        transforms = _transforms_for(model, dataset, metrics)
    rank, world = rank_and_world()
    share = Subset(dataset, share_of(len(dataset), batch_size, rank, world))
    loader = make_loader(share, transforms, batch_size=batch_size, seed=0, shuffle=False, workers=workers)
    model.to(place)
    with Progress(len(share), "evaluate", "clip", quiet=not progress or rank > 0) as shown:
        for batch in loader:
            for i, prediction in enumerate(model.predict(batch.to(place))):
                target, index = _existing(batch, i), share.indices[batch.index[i]]
                for metric in metrics:
                    metric.update(prediction, target, index)
            shown.advance(len(batch.ids))
    _merge_processes(metrics, world)
    return computed(metrics)


def default_metrics(dataset: ClipDataset, protocol: str = "published") -> list[Metric]:
    """Fresh metrics of a data set's own suite.

    Raises:
        ValueError: it names none, or one that does not have the protocol.
    """
    if not dataset.suite:
        raise ValueError(f"the data set {type(dataset).__name__} has no metric suite; set its `suite`, or give metrics")
    return metrics_of(dataset.task, [dataset.suite], [protocol])


def _metrics(dataset: ClipDataset, metrics: Sequence[Metric] | None, protocol: str | None) -> Sequence[Metric]:
    if metrics is None:
        return default_metrics(dataset, protocol or "published")
    if protocol is not None:
        raise ValueError(f"metrics have protocols of their own; leave out protocol={protocol!r}, or the metrics")
    return metrics


def score(
    predictions: Iterable[Prediction],
    dataset: ClipDataset,
    metrics: Sequence[Metric] | None = None,
    transforms: Sequence[Transform] = (),
    *,
    protocol: str | None = None,
) -> dict[str, float]:
    """Score predictions that were made elsewhere, one for every clip of `dataset`, matched by id.

    Args:
        metrics: Fresh ones; by default those of the data set's own suite.
        transforms: Applied to each clip for its truth (a protocol may want resized labels).
        protocol: Of the default metrics: `published` where none is named.

    Raises:
        ValueError: a clip the data set does not have, two predictions for one clip, or clips without one.
    """
    metrics = _metrics(dataset, metrics, protocol)
    places = {clip_id: index for index, clip_id in enumerate(dataset.ids)}
    missing = dict(places)
    for prediction in predictions:
        if prediction.id not in places:
            raise ValueError(f"a prediction is for clip {prediction.id!r}, which is not in the data set")
        if missing.pop(prediction.id, None) is None:
            raise ValueError(f"two predictions are for clip {prediction.id!r}; give one for each clip")
        target = _truth(dataset, places[prediction.id], transforms)
        for metric in metrics:
            metric.update(prediction, target, places[prediction.id])
    if missing:
        raise ValueError(f"{len(missing)} of {len(places)} clips have no prediction: {', '.join([*missing][:5])} ...")
    return computed(metrics)


def _transforms_for(model: Model[Any], dataset: ClipDataset, metrics: Sequence[Metric]) -> Sequence[Transform]:
    """The data set's evaluation transforms, which every protocol of the metrics must agree on."""
    protocols = list(dict.fromkeys(metric.protocol for metric in metrics))
    wanted = [eval_transforms(dataset.config, model.config.input, protocol=protocol) for protocol in protocols]
    for protocol, transforms in zip(protocols, wanted, strict=True):
        if transforms != wanted[0]:
            raise ValueError(
                f"the protocols {protocols[0]} and {protocol} score {dataset.config.name!r} at labels of different "
                "sizes; evaluate them one after the other, or set --data.labels-at to file or input for both"
            )
    return wanted[0] if wanted else []


def _truth(dataset: ClipDataset, index: int, transforms: Sequence[Transform]) -> Target:
    if not transforms:
        return dataset.target(index)
    clip = apply(transforms, dataset[index], torch.Generator().manual_seed(0))
    if clip.target is None:
        raise ValueError(f"clip {clip.id!r} has no ground truth to be scored against")
    return clip.target


def _existing(batch: Batch, i: int) -> Target:
    """Truth of the frames of clip i that exist, without padded ones."""
    if batch.targets is None:
        raise ValueError(f"clip {batch.ids[i]!r} has no ground truth to be scored against")
    return batch.targets[i].take(batch.valid[i].nonzero().flatten())


def rank_and_world() -> tuple[int, int]:
    """The number of this process, and of how many."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _merge_processes(metrics: Sequence[Metric], world: int) -> None:
    """Let the metrics take in what those of other processes saw."""
    if world == 1:
        return
    everyone: list[Any] = [None] * world
    distributed.all_gather_object(everyone, list(metrics))
    for others in everyone:
        for mine, other in zip(metrics, others, strict=True):
            mine.merge(other)
