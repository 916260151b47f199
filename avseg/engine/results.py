"""Predicted tracks as files in the form of YouTube-VIS: written beside an evaluation, and scored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from avseg.data.base import ClipDataset
from avseg.data.config import DataConfig
from avseg.engine.judges import computed, merged_rows
from avseg.engine.report import Report
from avseg.metrics.base import Metric
from avseg.types import InstancePrediction, Prediction

FILE = "predictions.json"
"""Name of the file that an evaluation of tracks leaves in its folder."""


def are_results(source: str | Path) -> bool:
    """Whether `avseg evaluate` is given predicted tracks instead of a model."""
    return Path(source).suffix.lower() == ".json"


def read_tracks(path: Path, dataset: ClipDataset) -> dict[int, Prediction]:
    """The predictions of a file by their place in the data set.

    Raises:
        ValueError: a data set whose videos have no numbers, and all that `avseg.io.youtube_vis` refuses.
        FileNotFoundError: no such file.
    """
    from avseg.io.youtube_vis import read_results

    videos: Any = dataset
    if not all(hasattr(dataset, name) for name in ("video_ids", "category_ids", "extent")):
        raise ValueError(
            f"{path} is taken for tracks in the form of YouTube-VIS, but the data set {dataset.config.name!r} holds "
            "none; give a model file, or --data.name aviseg"
        )
    places = {clip_id: index for index, clip_id in enumerate(dataset.ids)}
    return {places[prediction.id]: prediction for prediction in read_results(path, videos)}


def write_tracks(path: Path, predictions: Mapping[int, Prediction], dataset: ClipDataset) -> Path:
    """Write predictions, by their place in the data set, under the numbers that the data set has for its videos."""
    from avseg.io.youtube_vis import write_results

    tracks = [predictions[index] for index in sorted(predictions)]
    assert all(isinstance(prediction, InstancePrediction) for prediction in tracks)
    numbers = getattr(dataset, "video_ids", None) or {clip_id: place for place, clip_id in enumerate(dataset.ids, 1)}
    categories: Sequence[int] | None = getattr(dataset, "category_ids", None)
    return write_results(
        (prediction for prediction in tracks if isinstance(prediction, InstancePrediction)),
        path,
        numbers,
        categories=categories,
    )


def keep(kept: dict[int, Prediction], index: int, prediction: Prediction) -> None:
    """Remember predicted tracks until they are written, on the CPU; dense predictions would be too much to keep."""
    if isinstance(prediction, InstancePrediction):
        names = ("scores", "classes", "track_ids")
        kept[index] = replace(prediction, **{name: getattr(prediction, name).cpu() for name in names})


def report_of(
    metrics: Sequence[Metric], source: str | Path, data: DataConfig, split: str, started: float, *, main: bool = True
) -> Report:
    """What metrics that have seen everything say.

    Args:
        source: The model, or the file of predictions.
        started: Of `time.monotonic`.
        main: Whether this process writes and prints.
    """
    return Report(
        protocols=tuple(dict.fromkeys(metric.protocol for metric in metrics)),
        suites=tuple(dict.fromkeys(metric.suite for metric in metrics)),
        scores=computed(metrics),
        rows=merged_rows(metrics),
        model=str(source),
        data=data,
        split=split,
        seconds=time.monotonic() - started,
        main=main,
    )
