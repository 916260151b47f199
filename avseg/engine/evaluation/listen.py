"""A test of whether a model uses the sound: its scores on the same pictures under different sounds."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from avseg.config import to_dict
from avseg.data.config import DataConfig, refuse_idle
from avseg.data.heard import Scenarios
from avseg.data.loader import workers_here
from avseg.data.manifest import MANIFEST
from avseg.data.scenarios import SCENARIOS, SoundRules
from avseg.datasets import build_dataset, own_config
from avseg.engine.evaluation.evaluate import evaluate, rank_and_world
from avseg.engine.evaluation.files import are_results, working_on
from avseg.io.files import clear_stale, write_text
from avseg.metrics import SUITES
from avseg.metrics.base import Metric
from avseg.metrics.robust import JUDGED
from avseg.metrics.scenarios import DEFAULT, ByScenario
from avseg.metrics.suites.avsbench_robust import SPEC
from avseg.models import load_model
from avseg.models.base import Model
from avseg.render.plot import Curve, line_plot
from avseg.types import Task
from avseg.version import __version__

FORMAT_VERSION = 1
SUITE = SPEC.name
Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Listening:
    """The scores of a model under each scenario."""

    scenarios: dict[str, Scores]
    """By protocol and scenario: J, F, what share of the picture is marked; repaired also J_sounding."""
    suite: Scores
    """By protocol, where it was asked for, the scores of the suite `avsbench_robust`."""
    left_out: Mapping[str, str]
    """Scenarios that the data set cannot have, and why."""
    clips: int
    main: bool = True
    """False in all but the first of several processes, which alone writes and prints."""

    def rows(self) -> list[dict[str, str]]:
        """A table with a row for each scenario."""
        first = next(iter(self.scenarios.values()))
        return [
            {"sound": name, **{k: "-" if math.isnan(v) else f"{v:.4f}" for k, v in self._figures(name).items()}}
            for name in first
        ]

    def _figures(self, scenario: str) -> dict[str, float]:
        several = len(self.scenarios) > 1
        return {
            f"{score} ({protocol})" if several else score: value
            for protocol, found in self.scenarios.items()
            for score, value in found[scenario].items()
        }

    def remarks(self) -> list[str]:
        """Lines below the table: scores of the suite, and what was left out."""
        found = []
        for protocol, scores in self.suite.items():
            width = max(len(name) for name in scores)
            found += [f"suite {SUITE}, protocol {protocol}"]
            found += [f"  {name:<{width}}  {value:.4f}" for name, value in scores.items()]
        return [*found, *(f"{name} is left out: {why}" for name, why in self.left_out.items())]

    def to_dict(self) -> dict[str, Any]:
        """The content of listen.json; a score that is not a number becomes null."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": "avseg.listening",
            "clips": self.clips,
            "scenarios": {protocol: {s: _plain(v) for s, v in f.items()} for protocol, f in self.scenarios.items()},
            "suite": {protocol: _plain(scores) for protocol, scores in self.suite.items()},
            "left_out": dict(self.left_out),
        }

    def plot(self, title: str) -> str:
        """An SVG of the scores over the scenarios, under the first protocol."""
        protocol, found = next(iter(self.scenarios.items()))
        names = [name for name in ("J", "J_sounding", "marked") if name in next(iter(found.values()))]
        lines = [Curve(name, [scores[name] for scores in found.values()]) for name in names]
        known = [line for line in lines if not any(map(math.isnan, line.values))]
        return line_plot(title, list(found), known, "sound", f"score ({protocol})")


def _plain(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in scores.items()}


def listen(
    model: Model[Any],
    dataset: Scenarios,
    protocols: Sequence[str] = (),
    *,
    suite: bool = True,
    batch_size: int = 1,
    device: str = "auto",
    workers: int = 0,
    progress: bool = False,
) -> Listening:
    """Score a model under every scenario in one pass; of tracks and classes everything that is marked counts.

    Args:
        model: A model that hears sound.
        dataset: A data set under scenarios.
        protocols: Of J and F, and of the suite `avsbench_robust`: published, repaired; by default J and F repaired, and
            no suite.
        suite: Off: the scores of the suite are not wanted.
        batch_size: Clips predicted together.
        device: auto (CUDA, else MPS, else CPU), or a torch device.
        workers: Processes that read clips; 0: this one.
        progress: Show a bar on a terminal, lines elsewhere.

    Raises:
        ValueError: a model that hears nothing but shipped features, an unknown protocol, a suite without any of its
            scenarios, and all that `evaluate` refuses.
    """
    if not model.config.hears:
        raise ValueError(
            "the model takes only audio features of a data set, which cannot be "
            "replaced; use a model with an audio network"
        )
    asked = list(dict.fromkeys(protocols))
    if asked and suite and not set(JUDGED) & set(dataset.names):
        raise ValueError(
            f"the suite {SUITE} scores the scenarios {', '.join(JUDGED)}, but none of them "
            "is selected; add some, or leave out the protocol"
        )
    clips, together = len(dataset.dataset), None if dataset.contrast is None else dataset.contrast.clips_per_group
    judged = [
        metric for name in asked for metric in SUITES[SUITE](Task("binary"), name, of_negatives=together) if suite
    ]
    tables = [ByScenario(name, dataset.names, clips) for name in asked or [DEFAULT]]
    metrics: list[Metric] = [*tables, *judged]
    evaluate(model, dataset, metrics, batch_size=batch_size, device=device, workers=workers, progress=progress)
    return Listening(
        {table.protocol: _by_scenario(table) for table in tables},
        {metric.protocol: metric.compute() for metric in judged},
        dataset.left_out,
        clips,
        rank_and_world()[0] == 0,
    )


def _by_scenario(table: ByScenario) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {name: {} for name in table.scenarios}
    for name, value in table.compute().items():
        scenario, _, score = name.partition("/")
        found[scenario][score] = value
    return found


def listen_file(
    model_path: str | PathLike[str],
    data: DataConfig,
    *,
    split: str = "test",
    scenarios: Sequence[str] = tuple(SCENARIOS),
    rules: SoundRules | None = None,
    protocols: Sequence[str] = (),
    out: Path | None = None,
    batch_size: int = 1,
    workers: int = 0,
    device: str = "auto",
) -> Listening:
    """Score a model file under every scenario that a split can have.

    Args:
        out: Folder for listen.json, robust.json (which clip got which sound) and listen.svg.

    Raises:
        ValueError: predictions in place of a model, unknown names, and all that `Scenarios` and `listen` refuse.
    """
    if are_results(model_path):
        raise ValueError(f"{model_path} holds predictions, whose sound cannot be replaced; give a model file")
    refuse_idle(own_config(data), split)
    dataset = Scenarios(build_dataset(data, split), scenarios, rules)
    started = time.monotonic()
    with working_on(device) as place:
        model = load_model(model_path, device=str(place), task=dataset.task)
        found = listen(
            model,
            dataset,
            protocols,
            batch_size=batch_size,
            device=str(place),
            workers=workers_here(workers),
            progress=True,
        )
        if out is not None and found.main:
            facts = {"model": str(model_path), "data": {**to_dict(dataset.config), "split": split}}
            facts |= {"weights": model.config.origins} if model.config.origins else {}
            facts |= {"rules": to_dict(rules or SoundRules()), "version": __version__}
            _write(found, dataset, out, facts | {"seconds": round(time.monotonic() - started, 3)})
    return found


def _write(found: Listening, dataset: Scenarios, out: Path, facts: Mapping[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    clear_stale(out)
    dataset.write_manifest(out / MANIFEST)
    write_text(out / "listen.svg", found.plot(f"{dataset.config.name} {facts['data']['split']}, {found.clips} clips"))
    write_text(out / "listen.json", json.dumps({**found.to_dict(), **facts}, indent=2, allow_nan=False) + "\n")
