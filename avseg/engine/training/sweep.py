"""A sweep: runs of variants of a recipe, one after the other, each in its own folder, with one table."""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avseg.engine.config import Recipe
from avseg.engine.training.folder import RunFolder, write_json
from avseg.io.files import clear_stale

FORMAT_VERSION = 1
TABLE = "sweep.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """One run of a sweep."""

    values: dict[str, str]
    """Values of the swept fields, by their dotted names, as written."""
    recipe: Recipe

    @property
    def folder(self) -> str:
        """Name of its folder, whatever else is swept beside: `model.quantise=False,train.seed=1`."""
        plain = (f"{name}={value}" for name, value in self.values.items())
        return re.sub(r"[^\w.,=+-]", "_", ",".join(plain))


@dataclass(frozen=True)
class RunOutcome:
    """The outcome of a variant."""

    values: dict[str, str]
    folder: str
    state: str
    """`waiting`, `finished` or `failed`."""
    error: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    """Content of a finished run's summary.json."""

    def to_dict(self) -> dict[str, Any]:
        """A row of the table."""
        kept = ("steps", "parameters", "best", "last_figures", "model", "seconds_since_resume")
        of_run = {name: self.summary[name] for name in kept if name in self.summary}
        error = {"error": self.error} if self.error else {}
        return {"values": self.values, "folder": self.folder, "state": self.state, **error, **of_run}


def sweep(
    variants: Sequence[Variant], out: Path, name: str, train: Callable[[Recipe, Path], object]
) -> list[RunOutcome]:
    """Train every variant in a folder of its own below `out`, and write `out/sweep.json` whenever one is done.

    A finished run is not begun again, one that was stopped goes on, and one that fails is noted while the others run.

    Args:
        variants: in the order of their runs.
        out: the folder of the sweep.
        name: of the recipe, for the table.
        train: trains a recipe in a folder (`avseg.engine.training.run.train_recipe`).

    Raises:
        ValueError: no variants, two with one folder, or several processes.
    """
    _check(variants)
    outcomes = [_standing(variant, out) for variant in variants]
    for number, variant in enumerate(variants):
        _write(out, name, outcomes)
        if outcomes[number].state == "waiting":
            log.info("run %d of %d: %s", number + 1, len(variants), variant.folder)
            outcomes[number] = _outcome(variant, out, train)
    _write(out, name, outcomes)
    return outcomes


def figures_by_setting(outcomes: Sequence[RunOutcome], over: str = "train.seed") -> list[dict[str, Any]]:
    """Return for finished runs that differ only in `over` their number, and mean and standard deviation (of a
    sample) of every figure of the last validation.
    """
    groups: dict[tuple[tuple[str, str], ...], list[dict[str, float]]] = {}
    for outcome in outcomes:
        if outcome.state == "finished":
            setting = tuple((name, value) for name, value in outcome.values.items() if name != over)
            groups.setdefault(setting, []).append(outcome.summary.get("last_figures", {}))
    return [
        {"values": dict(setting), "runs": len(runs), "figures": {name: _spread(runs, name) for name in runs[0]}}
        for setting, runs in groups.items()
    ]


def _spread(runs: Sequence[dict[str, float]], name: str) -> dict[str, float | None]:
    values = [run[name] for run in runs if isinstance(run.get(name), (int, float))]
    if not values:
        return {"mean": None, "deviation": None}
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    return {"mean": mean, "deviation": math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None}


def _check(variants: Sequence[Variant]) -> None:
    if not variants:
        raise ValueError("a sweep needs at least one run; give --sweep FIELD=VALUE,VALUE")
    folders = [variant.folder for variant in variants]
    if twice := sorted({folder for folder in folders if folders.count(folder) > 1}):
        raise ValueError(f"two runs of the sweep would use the folder {twice[0]}; give every value once")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "a sweep runs in one process; start each of its runs separately with torchrun or accelerate "
            f"launch, with --out FOLDER as in the sweep, such as {folders[0]}"
        )


def _standing(variant: Variant, out: Path) -> RunOutcome:
    """Finished, failed where the folder is another recipe's, or waiting."""
    folder = RunFolder(out / variant.folder)
    try:
        if not folder.finished(variant.recipe):
            return RunOutcome(variant.values, variant.folder, "waiting")
    except ValueError as error:
        log.warning("%s", error)
        return RunOutcome(variant.values, variant.folder, "failed", str(error))
    return _finished(variant, folder)


def _finished(variant: Variant, folder: RunFolder) -> RunOutcome:
    summary = json.loads(folder.summary.read_text(encoding="utf-8"))
    return RunOutcome(variant.values, variant.folder, "finished", summary=summary)


def _outcome(variant: Variant, out: Path, train: Callable[[Recipe, Path], object]) -> RunOutcome:
    path = out / variant.folder
    try:
        train(variant.recipe, path)
        return _finished(variant, RunFolder(path))
    except Exception as error:  # whatever ended this run, the others need not wait for it
        log.warning("%s failed: %s", variant.folder, error, exc_info=bool(os.environ.get("AVSEG_DEBUG")))
        return RunOutcome(variant.values, variant.folder, "failed", str(error) or type(error).__name__)


def _write(out: Path, name: str, outcomes: Sequence[RunOutcome]) -> None:
    values = {
        "format_version": FORMAT_VERSION,
        "kind": "avseg.sweep",
        "recipe": name,
        "runs": [outcome.to_dict() for outcome in outcomes],
    }
    if any("train.seed" in outcome.values for outcome in outcomes):
        values["over_seeds"] = figures_by_setting(outcomes)
    clear_stale(out)
    write_json(out / TABLE, values)
