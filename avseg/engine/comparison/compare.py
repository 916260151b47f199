"""Comparing two models, or files of predicted tracks, on the clips of one data set."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from avseg.config import to_dict
from avseg.data.base import ClipDataset
from avseg.data.config import DataConfig, refuse_idle
from avseg.datasets import build_dataset, own_config
from avseg.engine.comparison.comparison import Comparison, Picture
from avseg.engine.comparison.differences import FigureDifferences, Side, clip_differences, differences
from avseg.engine.comparison.folders import compare_folders, is_evaluation
from avseg.engine.comparison.options import ComparisonOptions, Draws
from avseg.engine.evaluation.evaluate import rank_and_world
from avseg.engine.evaluation.files import (
    Judged,
    are_results,
    check_tasks,
    judge_model,
    judge_tracks,
    metrics_wanted,
    working_on,
)
from avseg.engine.evaluation.pictures import clip_picture
from avseg.engine.evaluation.report import computed, merged_rows
from avseg.io.files import clear_stale
from avseg.io.image import write_png
from avseg.metrics.base import Metric
from avseg.models import load_model
from avseg.models.base import Model
from avseg.types import Task


def compare(
    a: Model[Any],
    b: Model[Any],
    dataset: ClipDataset,
    *,
    protocol: str | Sequence[str] = "published",
    suites: Sequence[str] = (),
    names: tuple[str, str] = ("A", "B"),
    options: ComparisonOptions | None = None,
    progress: bool = False,
) -> Comparison:
    """Score two models on the same clips: both scores, the difference B - A, and its interval.

    An interval (95 %, percentiles) comes of drawing the clips with replacement and computing the figures of both models
    anew for the same drawn clips. Figures of a protocol that takes means over groups of clips are drawn by groups.

    Args:
        a: The first model.
        b: The second model; positive differences mean that its figures are higher.
        dataset: Clips with ground truth.
        protocol: One or several, as `evaluate_file` takes them.
        suites: Metric suites, as `evaluate_file` takes them.
        names: What the two are called.
        options: Default: `ComparisonOptions()`.
        progress: Show bars on a terminal, lines elsewhere.

    Raises:
        ValueError: all that `evaluate` refuses.
    """
    how = options or ComparisonOptions(workers=0)
    protocols, started = [protocol] if isinstance(protocol, str) else list(protocol), time.monotonic()
    fed = [metrics_wanted(dataset, suites, protocols) for _ in names]
    for model, metrics in zip((a, b), fed, strict=True):
        judge_model(model, dataset, metrics, keep=False, progress=progress, **_running(how))
    found = _compared(names, dataset, fed, how, progress)
    return replace(found, seconds=time.monotonic() - started)


def compare_files(
    a: str | PathLike[str],
    b: str | PathLike[str],
    data: DataConfig | None = None,
    *,
    split: str | None = None,
    protocol: Sequence[str] = (),
    suites: Sequence[str] = (),
    out: Path | None = None,
    overlays: int = 0,
    options: ComparisonOptions | None = None,
) -> Comparison:
    """Compare two models or JSONs of tracks on a split of a data set, or two folders that `avseg evaluate --out` wrote.

    Args:
        a: A model file, a Hub id, `demo`, or tracks in the form of YouTube-VIS. Or the folder of an evaluation, which
            names its own data and is not predicted again.
        b: The same; a folder where `a` is one.
        data: The data set; not of folders.
        split: By default test.
        protocol: One or several, by default published.
        suites: By default the data set's own.
        out: Folder for compare.json, compare.csv, index.html and, with `overlays`, pictures.
        overlays: Pictures of so many clips that differ most.
        options: Default: `ComparisonOptions()`.

    Raises:
        ValueError: a folder beside a model, folders that cannot be compared, options that change nothing, and all that
            `evaluate_file` refuses.
    """
    how = options or ComparisonOptions()
    if is_evaluation(a) or is_evaluation(b):
        given = {"--split": split, "--protocol": protocol, "--suites": suites, "--overlays": overlays}
        plain = ComparisonOptions()
        given |= {"--batch-size": how.batch_size != plain.batch_size, "--device": how.device != plain.device}
        given |= {"--data": data is not None and (data.name or data.changed())}
        found = compare_folders(a, b, Draws(how.draws, how.seed), [name for name, value in given.items() if value])
        if out is not None:
            clear_stale(out)
            found.write(out)
        return found
    if overlays and out is None:
        raise ValueError("overlays need a folder; give --out DIR")
    split, data = split or "test", data or DataConfig()
    refuse_idle(own_config(data), split)
    dataset, started = build_dataset(data, split), time.monotonic()
    fed = [metrics_wanted(dataset, suites, list(protocol) or ["published"]) for _ in range(2)]
    with working_on(how.device) as place:
        how = replace(how, device=str(place))
        # Both are opened before either predicts, so that what is wrong with the second is said at once.
        opened = [_opened(source, dataset, metrics, how.device) for source, metrics in zip((a, b), fed, strict=True)]
        judged = [_judged(one, dataset, metrics, how) for one, metrics in zip(opened, fed, strict=True)]
        found = _compared((str(a), str(b)), dataset, fed, how, progress=True)
        found = replace(found, data={**found.data, "split": split}, seconds=time.monotonic() - started)
        if out is not None and found.main:
            clear_stale(out)
            found.write(out, _write_pictures(found, judged, dataset.task, out / "overlays", overlays))
    return found


def _running(how: ComparisonOptions) -> dict[str, Any]:
    return {"batch_size": how.batch_size, "workers": how.workers, "device": how.device}


def _opened(
    source: str | PathLike[str], dataset: ClipDataset, metrics: Sequence[Metric], device: str
) -> Model[Any] | Path:
    if are_results(source):
        return Path(source)
    model = load_model(source, device=device, task=dataset.task)
    check_tasks(model, dataset, metrics)
    return model


def _judged(
    source: Model[Any] | Path, dataset: ClipDataset, metrics: Sequence[Metric], how: ComparisonOptions
) -> Judged:
    if isinstance(source, Path):
        return judge_tracks(source, dataset, metrics)
    return judge_model(source, dataset, metrics, **_running(how))


def _compared(
    names: tuple[str, str],
    dataset: ClipDataset,
    fed: Sequence[Sequence[Metric]],
    draws: Draws,
    progress: bool,
) -> Comparison:
    a, b = (Side(computed(metrics), merged_rows(metrics), metrics) for metrics in fed)
    main = rank_and_world()[0] == 0
    return Comparison(
        *names,
        suites=tuple(dict.fromkeys(metric.suite for metric in fed[0])),
        protocols=tuple(dict.fromkeys(metric.protocol for metric in fed[0])),
        data=to_dict(dataset.config),
        classes=("background", *(dataset.task.classes or ("sounding",))),
        found=differences(a, b, draws, progress=progress) if main else FigureDifferences(),
        clips=clip_differences(a, b),
        draws=Draws(draws.draws, draws.seed),
        main=main,
    )


def _write_pictures(found: Comparison, judged: Sequence[Judged], task: Task, folder: Path, count: int) -> list[Picture]:
    """A PNG for each of the clips that differ most: frames, truth, A and B, one row below the other."""
    # Where one of the two has other classes the foreground alone is scored and shown.
    task = task if all(one.task == task for one in judged) else Task("binary")
    name, written = found.ranked_by, []
    if count:
        clear_stale(folder)
    for rank, (value, a, b) in enumerate(found.ranked()[:count], 1):
        index, clip_name = int(a["index"]), re.sub(r"[^\w.-]+", "_", str(a["id"]))
        (clip, one), (_, other) = (each.look(index) for each in judged)
        title = f"{a['id']}: {name} of A {float(a[name]):.3f}, of B {float(b[name]):.3f} ({found.protocols[0]})"
        path = folder / f"{rank:02d}_{name.replace('/', '-')}_{value:+.3f}_{found.protocols[0]}_{clip_name}.png"
        write_png(path, clip_picture(clip, {"A": one, "B": other}, task, title))
        shows = f"{a['id']}: its frames, the truth, what A marks and what B marks"
        written.append((path, shows, f"{a['id']}: B - A **{value:+.3f}**"))
    return written
