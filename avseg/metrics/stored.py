"""The sums that metrics keep of each clip, on disk: figures of drawn clips can be computed without predicting again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avseg.io.files import write_aside
from avseg.metrics import metrics_of
from avseg.metrics.base import Metric, TableMetric
from avseg.types import Task

SUMS = "sums.npz"
"""Name of the file beside result.json."""


def write_sums(path: Path, metrics: Sequence[Metric], task: Task) -> None:
    """Write the tables of all metrics that have one (`ClipTable`) as a NumPy archive, whole or not at all."""
    arrays = {"task": np.array(json.dumps(task.to_dict()))}
    for place, metric in enumerate(metrics):
        rows = list(metric.clips) if isinstance(metric, TableMetric) else []
        if rows:
            arrays[f"{place}/index"] = np.array([index for index, _, _ in rows])
            arrays[f"{place}/id"] = np.array([name for _, name, _ in rows])
            arrays[f"{place}/length"] = np.array([len(values) for _, _, values in rows])
            arrays[f"{place}/values"] = np.concatenate([values for _, _, values in rows])
    with write_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_sums(path: Path, suites: Sequence[str], protocols: Sequence[str]) -> list[Metric]:
    """The metrics that `write_sums` was given; those without a table have seen nothing.

    Raises:
        ValueError: another file, or one of other suites and protocols.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        metrics = metrics_of(Task.from_dict(json.loads(str(arrays["task"]))), suites, protocols)
        for name in arrays:
            place, _, what = name.partition("/")
            if what != "values":
                continue
            metric, ends = metrics[int(place)], np.cumsum(arrays[f"{place}/length"])
            if not isinstance(metric, TableMetric) or len(arrays[name]) != ends[-1]:
                raise ValueError("its tables do not fit")
            pieces = np.split(arrays[name], ends[:-1])
            for index, clip, values in zip(arrays[f"{place}/index"], arrays[f"{place}/id"], pieces, strict=True):
                metric.clips.put(int(index), str(clip), values)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} holds no sums of these metrics ({error}); evaluate again") from error
    return metrics
