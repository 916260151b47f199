"""Intervals of a data set's figures: from what an evaluation left, without predicting again."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from avseg.datasets import data_config
from avseg.engine import evaluate_file
from avseg.engine.evaluation.intervals import FEWEST, figure_intervals
from avseg.engine.evaluation.scored import read_scores
from avseg.engine.publish import model_card
from avseg.metrics.base import TableMetric
from avseg.metrics.semantic import SemanticScores
from avseg.metrics.stored import read_sums, write_sums
from avseg.models import save_model
from avseg.models.header import read_header
from avseg.types import Task
from small import small

CLASSES = Task("semantic", ("dog", "cat"))


def filled(clips: int) -> list[SemanticScores]:
    """Counts of so many clips: the more pixels a clip has, the fewer of them are hit."""
    metrics = [SemanticScores(3, protocol) for protocol in ("repaired", "cavp")]
    generator = np.random.default_rng(0)
    for index in range(clips):
        wanted = generator.integers(1, 50, size=(2, 3)).astype(float)
        counts = np.stack([wanted // (2 + index % 3), wanted, wanted], 1)  # (M, 3, C)
        for metric in metrics:
            metric.add(index, f"c{index}", counts)
    return metrics


def test_an_interval_of_a_mean_is_that_of_its_clips() -> None:
    metric = filled(40)[0]
    (ends, again), other = (figure_intervals([metric]), figure_intervals([metric])), figure_intervals([metric], seed=1)
    assert ends == again != other
    scores = metric.compute()
    for name, (low, high) in ends.items():
        assert low < scores[name] < high and high - low < 0.3, name
    alone = {name: [] for name in scores}  # type: ignore[var-annotated]
    for number in range(40):
        for name, value in metric.resampled([number]).compute().items():
            alone[name].append(value)
    deviation = np.std(alone["mIoU"]) / math.sqrt(40)
    low, high = ends["mIoU"]
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.35)
    assert figure_intervals(filled(FEWEST - 1)) == {}


def test_sums_come_back_to_the_bit(tmp_path: Path) -> None:
    metrics = filled(7)
    write_sums(tmp_path / "sums.npz", metrics, CLASSES)
    again = read_sums(tmp_path / "sums.npz", ["avsbench_semantic"], ["repaired", "cavp"])
    assert [one.protocol for one in again] == ["repaired", "cavp"]
    for one, other in zip(metrics, again, strict=True):
        assert isinstance(other, TableMetric) and one.compute() == other.compute() and one.rows() == other.rows()
    assert figure_intervals(metrics) == figure_intervals(again)
    with pytest.raises(ValueError, match=r"sums\.npz holds no sums of these metrics"):
        read_sums(tmp_path / "sums.npz", ["avsbench_semantic"], ["repaired"])
    (tmp_path / "sums.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"evaluate again"):
        read_sums(tmp_path / "sums.npz", ["avsbench_semantic"], ["repaired", "cavp"])


def test_an_evaluation_leaves_what_intervals_need(tmp_path: Path) -> None:
    model, out = save_model(small("tpavi", Task("binary")), tmp_path / "model.safetensors"), tmp_path / "scores"
    data = data_config("synth", held_out_clips=6, frames=5, size=64)
    report = evaluate_file(model, data, split="val", protocol="repaired", out=out, device="cpu")
    scored = read_scores(out)
    whole = {figure.name: figure.ends for figure in scored.figures}
    assert set(whole) == set(report.scores)
    for figure in scored.figures:
        assert figure.ends is not None and figure.ends[0] <= figure.value <= figure.ends[1]
    line = next(line for line in model_card(read_header(model), "me/ears", scored).splitlines() if line[:5] == "| J |")
    low, high = whole["J"] or (0, 0)
    assert line.startswith(f"| J | {report.scores['J']:.4f} [{low:.4f}, {high:.4f}] |")
    told = json.loads((out / "result.json").read_text(encoding="utf-8"))
    told["scores"]["J"] += 0.1
    (out / "result.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ValueError, match=r"sums\.npz beside it gives J"):
        read_scores(out)
    (out / "sums.npz").unlink()
    assert all(figure.ends is None for figure in read_scores(out).figures)
