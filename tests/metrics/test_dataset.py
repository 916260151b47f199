"""Scores of all pixels together: classes that are absent, frames with several things, protocols that are not there."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.metrics import SUITES
from avseg.metrics.semantic import SemanticScores
from avseg.types import DensePrediction, DenseTarget, Task

avsbench_object, avsbench_semantic, vpo = (SUITES["avsbench_object"], SUITES["avsbench_semantic"], SUITES["vpo"])

SEMANTIC = Task("semantic", ("dog", "guitar", "car"))


def map_of(*rows: list[int]) -> Tensor:
    """(1, H, W) labels."""
    return torch.tensor([rows])


def fed(metric: Any, pairs: list[tuple[Tensor, Tensor]], classes: int = 4) -> Any:
    """A metric that saw pairs of predicted and true (T, H, W) labels, each a clip."""
    for index, (predicted, labels) in enumerate(pairs):
        logits = 9 * torch.nn.functional.one_hot(predicted, classes).permute(0, 3, 1, 2).float()
        target = DenseTarget(labels, torch.ones(len(labels), dtype=torch.bool))
        metric.update(DensePrediction(f"clip{index}", logits, tuple(labels.shape[1:])), target, index)
    return metric


def scores_of(protocol: str, *pairs: tuple[Tensor, Tensor]) -> dict[str, float]:
    scores: dict[str, float] = fed(vpo(SEMANTIC, protocol)[0], list(pairs)).compute()
    return scores


def test_absent_classes_count_zero_in_the_published_miou_alone() -> None:
    labels = map_of([0, 0, 2, 2], [0, 0, 2, 2])
    published, repaired = scores_of("published", (labels, labels)), scores_of("repaired", (labels, labels))
    assert published == {"mIoU": 0.5, "F": 1.0, "FDR": 0.0, "F1": 1.0, "accuracy": 1.0}
    assert {name: repaired[name] for name in published} == {**published, "mIoU": 1.0}
    assert repaired["mIoU_foreground"] == 1.0


def test_true_but_never_predicted_and_predicted_but_never_true() -> None:
    truth, predicted = map_of([0, 0, 1, 1]), map_of([0, 0, 2, 2])
    repaired = scores_of("repaired", (predicted, truth))
    assert repaired["mIoU"] == pytest.approx(1 / 3)  # background 1, the two others 0
    assert repaired["F"] == repaired["F1"] == pytest.approx(1 / 3)
    assert repaired["FDR"] == pytest.approx((0 + 1) / 2)  # that of class 1 is 0 / 0
    assert repaired["accuracy"] == 0.5
    assert repaired["mIoU_foreground"] == repaired["F_foreground"] == 0
    assert repaired["FDR_foreground"] == 1


def test_f_weighs_missed_pixels_by_its_beta() -> None:
    truth, predicted = map_of([1, 1, 1, 1, 0, 0]), map_of([1, 1, 1, 0, 1, 1])  # hit 3, missed 1, false 2; bg hit 0
    scores = scores_of("published", (predicted, truth))
    assert scores["F"] == pytest.approx((0 + 1.3 * 3 / (1.3 * 3 + 0.3 * 1 + 2)) / 2)
    assert scores["F1"] == pytest.approx((0 + 2 * 3 / (2 * 3 + 1 + 2)) / 2)
    assert scores["FDR"] == pytest.approx((1 + 2 / 5) / 2)


@pytest.mark.parametrize("protocol", ["published", "repaired"])
def test_what_is_predicted_on_ignored_pixels_counts_nowhere(protocol: str) -> None:
    truth = map_of([0, 1, 255, 255])
    scores = [scores_of(protocol, (map_of([0, 1, a, b]), truth)) for a, b in ((0, 1), (2, 3))]
    assert scores[0] == scores[1] and scores[0]["accuracy"] == 1


def test_frames_that_are_not_annotated_are_not_judged() -> None:
    labels = torch.stack([map_of([0, 1])[0], map_of([1, 1])[0]])
    logits = 9 * torch.nn.functional.one_hot(torch.tensor([[[0, 1]], [[0, 0]]]), 4).permute(0, 3, 1, 2).float()
    for protocol in ("published", "repaired"):
        metric = vpo(SEMANTIC, protocol)[0]
        metric.update(DensePrediction("a", logits, (1, 2)), DenseTarget(labels, torch.tensor([True, False])), 0)
        assert metric.compute()["accuracy"] == 1
    metric.update(DensePrediction("b", logits, (1, 2)), DenseTarget(labels, torch.tensor([False, False])), 1)
    assert metric.compute()["accuracy"] == 1 and math.isnan(float(metric.rows()[1]["mIoU"]))


def several(labels: int, ignored: int = 0) -> Tensor:
    """(1, 20, 30): so many labels of 120 pixels each from the top, then so many rows of ignored pixels."""
    truth = torch.zeros(1, 20, 30, dtype=torch.int64)
    for label in range(1, labels):
        truth[:, 4 * label - 4 : 4 * label] = label
    truth[:, 20 - ignored :] = 255
    return truth


def test_frames_with_several_things_are_scored_by_themselves_as_well() -> None:
    few, many = several(2), several(3)
    wrong = torch.zeros_like(many)
    scores = scores_of("published", (few, few), (wrong, many))
    assert scores["mIoU_multi"] == scores_of("published", (wrong, many))["mIoU"] < scores["mIoU"]
    assert [name for name in scores if name.endswith("_multi")] == [
        "mIoU_multi",
        "F_multi",
        "FDR_multi",
        "F1_multi",
        "accuracy_multi",
    ]
    assert not any(name.endswith("_multi") for name in scores_of("published", (few, few)))


def test_a_label_of_a_hundred_pixels_is_too_small_to_count() -> None:
    truth = several(2)
    truth[:, 10, :] = 2
    truth[:, 11:13, :] = 2
    truth[:, 13, :10] = 2
    assert (truth == 2).sum() == 100
    assert "mIoU_multi" not in scores_of("published", (truth, truth))
    truth[:, 13, 10] = 2
    assert "mIoU_multi" in scores_of("published", (truth, truth))


def test_ignored_pixels_are_a_label_in_the_published_subset_only() -> None:
    truth = several(2, ignored=4)
    predicted = torch.where(truth == 255, 0, truth)
    assert "mIoU_multi" in scores_of("published", (predicted, truth))
    assert "mIoU_multi" not in scores_of("repaired", (predicted, truth))


def test_a_binary_task_has_two_classes() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    labels[:, 0] = 1
    logits = torch.full((1, 1, 4, 4), -9.0)
    logits[:, :, 0, :2] = 9.0
    metric = vpo(Task("binary"))[0]
    metric.update(DensePrediction("a", logits, (4, 4)), DenseTarget(labels, torch.ones(1, dtype=torch.bool)), 0)
    assert metric.compute()["mIoU"] == pytest.approx((2 / 4 + 12 / 14) / 2)
    wrong = DensePrediction("b", torch.zeros(1, 5, 4, 4), (4, 4))
    with pytest.raises(ValueError, match="clip 'b': logits of 5 classes, wanted 2"):
        metric.update(wrong, DenseTarget(labels, torch.ones(1, dtype=torch.bool)), 1)


def test_rows_are_means_over_what_is_in_the_clip() -> None:
    labels = map_of([0, 0, 2, 2])
    for protocol in ("published", "repaired"):
        rows = fed(vpo(SEMANTIC, protocol)[0], [(labels, labels), (labels * 0, labels)]).rows()
        assert [row["id"] for row in rows] == ["clip0", "clip1"] and rows[0]["mIoU"] == 1
        assert rows[1]["mIoU"] == pytest.approx((2 / 4 + 0) / 2) and rows[1]["accuracy"] == 0.5


def test_protocols_that_a_suite_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="the suite vpo has no protocol 'cavp'; use published or repaired"):
        SUITES["vpo"](SEMANTIC, "cavp")
    with pytest.raises(ValueError, match="use published or repaired or cavp"):
        SUITES["avsbench_object"](SEMANTIC, "cavpp")


def test_cavp_takes_the_maximum_of_f_in_every_video() -> None:
    task, generator = Task("binary"), torch.Generator().manual_seed(0)
    pairs = []
    for index in range(5):
        labels = (torch.rand(5, 8, 8, generator=generator) < 0.4).long() * (index != 3)
        logits = 2 * torch.randn(5, 1, 8, 8, generator=generator) + index / 2
        pairs.append((DensePrediction(f"clip{index}", logits, (8, 8)), DenseTarget(labels, torch.arange(5) < 4)))
    metrics, alone = avsbench_object(task, "cavp"), []
    for index, pair in enumerate(pairs):
        (j, f) = avsbench_object(task, "published")
        for metric in (j, f):
            metric.update(*pair, 0)
        alone.append((j.compute()["J"], f.compute()["F"]))
        for metric in metrics:
            metric.update(*pair, index)
    assert alone[3][1] == 0  # a video without sound adds 0
    assert metrics[0].compute()["J"] == pytest.approx(sum(j for j, _ in alone) / 5)
    assert metrics[1].compute()["F"] == pytest.approx(sum(f for _, f in alone) / 5)


def test_cavp_pads_no_video_and_counts_every_class() -> None:
    labels = torch.zeros(2, 2, 4, dtype=torch.int64)
    labels[0, 0] = 2
    predicted = labels.clone()
    predicted[0, 0, 0], predicted[1, 1, 3] = 0, 1
    scores = fed(avsbench_semantic(SEMANTIC, "cavp")[0], [(predicted, labels)]).compute()
    background, dog, guitar, car = (4 / 5 + 7 / 8) / 2, 0.0, 3 / 4, 0.0
    assert scores["mIoU"] == pytest.approx((background + dog + guitar + car) / 4)
    assert scores["mIoU_foreground"] == pytest.approx((dog + guitar + car) / 3)
    padded = fed(SemanticScores(4, "published"), [(predicted, labels)]).compute()
    assert padded["mIoU"] == pytest.approx(((2 * background + 8) / 10 + dog + guitar + car) / 4)


def test_cavp_judges_annotated_frames_and_no_ignored_pixel() -> None:
    labels = torch.zeros(2, 1, 4, dtype=torch.int64)
    labels[0, 0, 2:] = 255
    predicted = torch.zeros(2, 1, 4, dtype=torch.int64)
    predicted[0, 0, 2:], predicted[1] = 1, 3
    metric = avsbench_semantic(SEMANTIC, "cavp")[0]
    logits = 9 * torch.nn.functional.one_hot(predicted, 4).permute(0, 3, 1, 2).float()
    metric.update(DensePrediction("a", logits, (1, 4)), DenseTarget(labels, torch.tensor([True, False])), 0)
    scores = metric.compute()
    assert scores["mIoU"] == pytest.approx(1 / 4) and scores["F"] == pytest.approx(1 / 4)
    assert scores["mIoU_foreground"] == 0
