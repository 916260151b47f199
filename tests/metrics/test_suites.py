"""Grouping, merging and what each protocol judges."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from avseg.metrics import SUITES
from avseg.metrics.base import ClipTable
from avseg.metrics.semantic import SemanticScores, class_counts
from avseg.types import DensePrediction, DenseTarget, InstancePrediction, Task

avsbench_object = SUITES["avsbench_object"]

BINARY, SEMANTIC = Task("binary"), Task("semantic", ("dog", "guitar", "car"))
CASES = [(suite, p) for suite in SUITES if suite != "aviseg" for p in SUITES[suite].protocols]
PROTOCOLS = tuple(avsbench_object.protocols)


def clip(seed: int, task: Task, frames: int = 3, silent: bool = False) -> tuple[DensePrediction, DenseTarget]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, max(task.channels, 2), (frames, 12, 10), generator=generator)
    logits = 2 * torch.randn(frames, task.channels, 12, 10, generator=generator)
    target = DenseTarget(labels * (not silent), torch.rand(frames, generator=generator) < 0.8)
    return DensePrediction(f"clip{seed}", logits, (12, 10)), target


def task_of(suite: str) -> Task:
    return BINARY if suite == "avsbench_object" else SEMANTIC


def name_of(suite: str, seed: int) -> str:
    """Of a clip; suites of scenarios want one in it."""
    return f"clip{seed}@{('own', 'noise')[seed % 2]}" if SUITES[suite].by_scenario else f"clip{seed}"


def fed(metrics: list[Any], task: Task, indices: list[int]) -> list[Any]:
    for index in indices:
        for metric in metrics:
            prediction, target = clip(index, task, frames=1 + index % 4, silent=index % 5 == 0)
            metric.update(replace(prediction, id=name_of(metric.suite, index)), target, index)
    return metrics


@pytest.mark.parametrize(("suite", "protocol"), CASES)
@pytest.mark.parametrize("seed", range(5))
def test_parts_merged_in_any_order_give_the_same_bits(suite: str, protocol: str, seed: int) -> None:
    draw, task = random.Random(seed), task_of(suite)
    indices = list(range(13))
    whole = [m.compute() for m in fed(SUITES[suite](task, protocol), task, indices)]
    draw.shuffle(indices)
    parts = [fed(SUITES[suite](task, protocol), task, indices[first::3]) for first in range(3)]
    fed(parts[1], task, indices[:4])  # some clips are seen twice
    draw.shuffle(parts)
    for other in parts[1:]:
        for mine, theirs in zip(parts[0], other, strict=True):
            mine.merge(theirs)
    assert repr([m.compute() for m in parts[0]]) == repr(whole)


def test_of_two_entries_for_one_clip_the_same_stays_in_any_order() -> None:
    entries = [np.array([[0.25]]), np.array([[0.5]])]
    kept = []
    for order in (entries, entries[::-1]):
        table, other = ClipTable(), ClipTable()
        table.put(0, "a", order[0])
        other.put(0, "a", order[1])
        table.merge(other)
        kept.append(table.joined().tolist())
    assert kept[0] == kept[1]


@pytest.mark.parametrize(("suite", "protocol"), CASES)
def test_every_metric_bears_its_protocol_and_has_rows_in_order(suite: str, protocol: str) -> None:
    for metric in fed(SUITES[suite](task_of(suite), protocol), task_of(suite), [3, 1, 2]):
        assert metric.protocol == protocol
        assert [(row["index"], row["id"]) for row in metric.rows()] == [(i, name_of(suite, i)) for i in (1, 2, 3)]


def f_of(indices: list[int], protocol: str, group: int, silent: bool = False) -> dict[str, float]:
    metrics = avsbench_object(BINARY, protocol, group=group)
    for index in indices:
        for metric in metrics:
            metric.update(*clip(index, BINARY, frames=4, silent=silent), index)
    return {name: value for metric in metrics for name, value in metric.compute().items()}


def test_published_f_is_the_mean_of_the_maxima_of_groups() -> None:
    alone = [f_of([index], "published", 1)["F"] for index in range(4)]
    assert f_of([0, 1, 2, 3], "published", 1)["F"] == pytest.approx(np.mean(alone))
    pairs = [f_of([0, 1], "published", 2)["F"], f_of([2, 3], "published", 2)["F"]]
    assert f_of([0, 1, 2, 3], "published", 2)["F"] == pytest.approx(np.mean(pairs))
    assert f_of([0, 1, 2, 3], "published", 1)["F"] > f_of([0, 1, 2, 3], "published", 4)["F"]


def test_repaired_scores_do_not_depend_on_groups() -> None:
    assert f_of([0, 1, 2, 3], "repaired", 1) == f_of([0, 1, 2, 3], "repaired", 4)
    assert f_of([0, 1, 2, 3], "repaired", 1)["F"] == f_of([0, 1, 2, 3], "published", 4)["F"]


def test_a_group_of_silent_clips_counts_zero_in_the_published_f_only() -> None:
    metrics = {protocol: avsbench_object(BINARY, protocol, group=1) for protocol in PROTOCOLS}
    for part in metrics.values():
        for metric in part:
            metric.update(*clip(0, BINARY, frames=4), 0)
            metric.update(*clip(1, BINARY, frames=4, silent=True), 1)
    alone = f_of([0], "published", 1)["F"]
    assert metrics["published"][1].compute()["F"] == pytest.approx(alone / 2)
    assert metrics["repaired"][1].compute()["F"] == pytest.approx(alone)


def test_sounding_frames_alone_make_j_sounding() -> None:
    metric = avsbench_object(BINARY, "repaired")[0]
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    labels[0, :2] = 1
    logits = torch.where(labels[:, None] > 0, 9.0, -9.0)
    logits[1, 0, 0, 0] = 9.0  # a false alarm in the silent frame
    metric.update(DensePrediction("a", logits, (4, 4)), DenseTarget(labels, torch.ones(2, dtype=torch.bool)), 0)
    assert metric.compute() == {"J": 0.5, "J_sounding": 1.0}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_frames_without_labels_change_no_object_score(protocol: str) -> None:
    prediction, target = clip(0, BINARY, frames=5)
    known = torch.tensor([True, False, True, False, False])
    other = torch.where(known[:, None, None], target.labels, 1 - target.labels)
    scores = []
    for labels in (target.labels, other):
        metrics = avsbench_object(BINARY, protocol)
        for metric in metrics:
            metric.update(prediction, DenseTarget(labels, known), 0)
        scores.append([metric.compute() for metric in metrics])
    assert scores[0] == scores[1]


def test_object_suite_judges_the_foreground_of_semantic_clips() -> None:
    prediction, target = clip(3, SEMANTIC, frames=4)
    target = DenseTarget(target.labels, torch.ones(4, dtype=torch.bool))
    foreground = 1 - prediction.logits.softmax(1)[:, :1]
    as_binary = DensePrediction("b", foreground.logit(), (12, 10))
    binary_target = DenseTarget((target.labels > 0).long(), target.annotated)
    curves = [avsbench_object(SEMANTIC, "published")[1], avsbench_object(BINARY, "published")[1]]
    curves[0].update(prediction, target, 0)
    curves[1].update(as_binary, binary_target, 0)
    assert curves[0].compute()["F"] == pytest.approx(curves[1].compute()["F"], abs=1e-3)
    j = avsbench_object(SEMANTIC, "repaired")[0]
    j.update(prediction, target, 0)
    chosen, wanted = prediction.logits.argmax(1) > 0, target.labels > 0
    ious = [float((c & w).sum() / (c | w).sum()) for c, w in zip(chosen, wanted, strict=True)]
    assert j.compute()["J"] == pytest.approx(np.mean(ious))


def semantic_of(prediction: torch.Tensor, labels: torch.Tensor, protocol: str) -> dict[str, float]:
    metric = SemanticScores(4, protocol)
    logits = 9 * torch.nn.functional.one_hot(prediction, 4).permute(0, 3, 1, 2).float()
    target = DenseTarget(labels, torch.ones(len(labels), dtype=torch.bool))
    metric.update(DensePrediction("a", logits, tuple(labels.shape[1:])), target, 0)
    return metric.compute()


def test_perfect_semantic_clip_with_unseen_classes() -> None:
    labels = torch.zeros(10, 4, 4, dtype=torch.int64)
    labels[:, 0] = 2
    published = semantic_of(labels, labels, "published")
    assert published["mIoU"] == pytest.approx(2 / 4) and published["mIoU_noBg"] == pytest.approx(2 / 3)
    repaired = semantic_of(labels, labels, "repaired")
    assert len(repaired) == 6 and all(value == 1 for value in repaired.values())


def test_dataset_level_iou_is_another_figure_than_the_mean_over_frames() -> None:
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    labels[0], labels[1, 0, 0] = 1, 1
    predicted = labels.clone()
    predicted[1] = 0
    scores = semantic_of(predicted, labels, "repaired")
    assert scores["mIoU_foreground"] == pytest.approx(1 / 2)  # frame by frame: 16/16 and 0/1
    assert scores["mIoU_confusion_foreground"] == pytest.approx(16 / 17)


def test_a_class_that_is_only_predicted_is_not_seen_in_the_repaired_protocol() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    predicted = labels.clone()
    predicted[0, 0, 0] = 3
    assert semantic_of(predicted, labels, "repaired")["mIoU"] == pytest.approx(15 / 16)


def test_ignored_pixels_count_nowhere_in_the_repaired_protocol() -> None:
    labels = torch.zeros(1, 2, 4, dtype=torch.int64)
    labels[0, 0] = 255
    predicted = torch.zeros_like(labels)
    predicted[0, 0] = 1
    assert class_counts(predicted, labels, 2)[0].tolist() == [[4, 0], [4, 0], [4, 0]]
    assert class_counts(predicted, labels, 2, count_ignored=True)[0].tolist() == [[4, 0], [4, 4], [4, 0]]


@pytest.mark.parametrize(("suite", "protocol"), CASES)
def test_a_mask_of_another_size_is_refused(suite: str, protocol: str) -> None:
    prediction, target = clip(0, task_of(suite))
    larger = DensePrediction("large@own" if SUITES[suite].by_scenario else "large", prediction.logits, (24, 20))
    for metric in SUITES[suite](task_of(suite), protocol):
        with pytest.raises(ValueError, match=r"large.*\(24, 20\).*\(12, 10\)"):
            metric.update(larger, target, 0)


def test_other_bad_input_is_refused() -> None:
    metric = avsbench_object(BINARY)[0]
    prediction, target = clip(0, BINARY)
    with pytest.raises(ValueError, match="predicted 2 frames"):
        metric.update(DensePrediction("a", prediction.logits[:2], (12, 10)), target, 0)
    with pytest.raises(ValueError, match="NaN"):
        metric.update(DensePrediction("a", prediction.logits * math.nan, (12, 10)), target, 0)
    tracks = InstancePrediction("a", [], torch.zeros(0), torch.zeros(0).long(), torch.zeros(0).long(), (12, 10))
    with pytest.raises(TypeError, match="dense"):
        metric.update(tracks, target, 0)
    with pytest.raises(ValueError, match="there was no clip"):
        avsbench_object(BINARY)[0].compute()
    with pytest.raises(ValueError, match="semantic tasks, got a binary"):
        SUITES["avsbench_semantic"](BINARY, "published")
    with pytest.raises(ValueError, match=r"span 0\.\.7"):
        class_counts(torch.zeros(1, 1, 2).long(), torch.tensor([[[0, 7]]]), 4)
    wrong = DensePrediction("a", torch.zeros(3, 2, 12, 10), (12, 10))
    with pytest.raises(ValueError, match="2 classes, wanted 4"):
        SemanticScores(4, "published").update(wrong, target, 0)


def test_clips_without_annotated_frames_have_no_score_of_their_own() -> None:
    prediction, target = clip(0, BINARY)
    nothing = DenseTarget(target.labels, torch.zeros(3, dtype=torch.bool))
    metrics = avsbench_object(BINARY, "published", group=1)
    for metric in metrics:
        metric.update(prediction, nothing, 0)
        metric.update(*clip(1, BINARY), 1)
    assert metrics[0].compute()["J"] == pytest.approx(metrics[0].rows()[1]["J"])
    assert metrics[1].compute()["F"] == pytest.approx(metrics[1].rows()[1]["F"])
    assert math.isnan(float(metrics[0].rows()[0]["J"]))


def test_suites_need_no_torch() -> None:
    code = "import sys, avseg.metrics, avseg.engine; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "False"
