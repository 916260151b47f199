"""The published arithmetic, to the digits its code prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from avseg.metrics import SUITES
from avseg.metrics.dataset import DatasetScores, dataset_scores
from avseg.metrics.semantic import EPS, SemanticScores, class_counts, frame_scores
from avseg.types import DensePrediction, DenseTarget, Task
from golden_arrays import arr

avsbench_object, avsbench_semantic = (SUITES["avsbench_object"], SUITES["avsbench_semantic"])

NEAR = {"rel": 0, "abs": 2e-6}


def scores_of(logits: Tensor, labels: Tensor, metrics: list[Any], clip_length: int) -> dict[str, float]:
    """Scores of (M, C, H, W) logits and (M, H, W) labels, cut into clips."""
    parts = zip(logits.split(clip_length), labels.long().split(clip_length), strict=True)
    for index, (part, truth) in enumerate(parts):
        target = DenseTarget(truth, torch.ones(len(truth), dtype=torch.bool))
        prediction = DensePrediction(f"clip{index}", part, tuple(truth.shape[1:]))
        for metric in metrics:
            metric.update(prediction, target, index)
    return {name: value for metric in metrics for name, value in metric.compute().items()}


def binary_inputs(case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    if case["inputs"]:
        return tuple(torch.from_numpy(arr(**case["inputs"][name])) for name in ("pred", "gt"))  # type: ignore[return-value]
    truth = arr("blob", 1011, (8, 224, 224))
    truth[:4] = 0
    return torch.from_numpy(arr("normal", 1010, (8, 224, 224), scale=2.0)), torch.from_numpy(truth)


@pytest.mark.parametrize("name", ["both_empty", "half_empty", "random", "random_sparse_gt"])
def test_f_of_one_group(golden: Any, name: str) -> None:
    case = golden("metrics.json")[f"binary/fmeasure/{name}"]
    logits, truth = binary_inputs(case)
    scores = scores_of(logits[:, None], truth, avsbench_object(Task("binary"), "published"), clip_length=2)
    assert scores["F"] == pytest.approx(case["value"], **NEAR)


@pytest.mark.parametrize("name", ["both_empty", "gt_empty", "half_empty", "logit_zero", "random"])
def test_j_of_one_group(golden: Any, name: str) -> None:
    case = golden("metrics.json")[f"binary/mask_iou/{name}"]
    logits, truth = binary_inputs(case)
    scores = scores_of(logits[:, None], truth, avsbench_object(Task("binary"), "published"), clip_length=2)
    assert scores["J"] == pytest.approx(case["value"], **NEAR)


def semantic_inputs(name: str, case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    target = torch.from_numpy(arr(**case["inputs"]["target"]))
    logits = torch.from_numpy(arr(**case["inputs"]["logits"]))
    if name in ("noisy", "ignore_255"):
        logits = 10 * one_hot(target, 5).permute(0, 3, 1, 2) + 3.5 * logits
    if name == "ignore_255":
        target[:, :10] = 255
    if name == "pred_all_background":
        logits = torch.zeros_like(logits)
        logits[:, 0] = 1
    return logits, target


@pytest.mark.parametrize("name", ["ignore_255", "noisy", "pred_all_background", "random"])
def test_sums_over_frames_of_every_class(golden: Any, name: str) -> None:
    case = golden("metrics.json")[f"colour/miou_fscore/c5/{name}"]
    logits, target = semantic_inputs(name, case)
    counts = class_counts(logits.argmax(1), target, 5, count_ignored=True)
    iou, f, present = frame_scores(counts, EPS).sum(0)
    assert iou == pytest.approx(case["value"]["iou_sum"], **NEAR)
    assert f == pytest.approx(case["value"]["f_sum"], **NEAR)
    assert present.tolist() == case["value"]["count"]


@pytest.mark.parametrize("name", ["ignore_255", "noisy", "pred_all_background", "random"])
def test_means_over_classes(golden: Any, name: str) -> None:
    case = golden("metrics.json")[f"colour/miou_fscore/c5/{name}"]
    scores = scores_of(*semantic_inputs(name, case), [SemanticScores(5, "published")], clip_length=10)
    names = {"mIoU": "miou_all_classes", "F": "f_all_classes", "mIoU_noBg": "miou_drop_last", "F_noBg": "f_drop_last"}
    assert scores == {ours: pytest.approx(case["value"][theirs], **NEAR) for ours, theirs in names.items()}


def wave(shape: tuple[int, ...], f: float, amplitude: float, phase: float = 0.0) -> Tensor:
    """amplitude * sin(f j + phase) over the flat index j."""
    j = torch.arange(int(np.prod(shape)), dtype=torch.float64)
    return (amplitude * torch.sin(f * j + phase)).float().reshape(shape)


def test_object_scores_of_the_published_recipe(golden: Any) -> None:
    wanted = golden("tpavi/golden_losses_metrics.json")
    logits = wave((10, 1, 224, 224), 0.0031, 3)
    truth = (wave((10, 224, 224), 0.0017, 1, 0.4) > 0).long()
    truth[3] = 0
    together = scores_of(logits, truth, avsbench_object(Task("binary"), "published"), clip_length=5)
    assert together["J"] == pytest.approx(wanted["mask_iou_10frames"], **NEAR)
    assert together["F"] == pytest.approx(wanted["fmeasure_one_batch_of_10"], **NEAR)
    apart = scores_of(logits, truth, avsbench_object(Task("binary"), "published", group=1), clip_length=5)
    assert apart["F"] == pytest.approx(wanted["fmeasure_mean_of_two_batches_of_5"], **NEAR)


def test_semantic_scores_of_the_published_recipe(golden: Any) -> None:
    wanted = golden("tpavi/golden_losses_metrics.json")
    logits = wave((10, 71, 224, 224), 0.0019, 2)
    logits[:, 0] += 1
    labels = ((torch.arange(10 * 224 * 224) // 977) % 71).reshape(10, 224, 224)
    metrics = avsbench_semantic(Task("semantic", tuple(f"class{i}" for i in range(1, 71))), "published")
    scores = scores_of(logits, labels, metrics, clip_length=10)
    assert scores["mIoU"] == pytest.approx(wanted["avss_miou_all71"], **NEAR)
    assert scores["F"] == pytest.approx(wanted["avss_fscore_all71"], **NEAR)
    assert scores["mIoU_noBg"] == pytest.approx(wanted["avss_miou_drop_last"], **NEAR)
    counts = frame_scores(class_counts(logits.argmax(1), labels, 71, count_ignored=True), EPS).sum(0)
    for row, name in zip(counts, ("avss_iou_sum_first3", "avss_f_sum_first3", "avss_count_first3"), strict=True):
        assert row[:3] == pytest.approx(wanted[name], **NEAR)


def test_a_clip_of_five_frames_is_padded_with_perfect_background(golden: Any) -> None:
    """Background sums of a clip whose last five frames are empty, against a clip that ends after five frames."""
    wanted = golden("tpavi/golden_losses_metrics.json")["avss_padded_bg"]
    logits = wave((10, 71, 224, 224), 0.0019, 2)[:5]
    logits[:, 0] += 1
    labels = ((torch.arange(5 * 224 * 224) // 977) % 71).reshape(5, 224, 224)
    metric = SemanticScores(71, "published")
    scores_of(logits, labels, [metric], clip_length=5)
    assert metric.clips.joined()[0, :3, 0] == pytest.approx(wanted, **NEAR)


def running_inputs(name: str, case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    target = torch.from_numpy(arr(**case["inputs"]["target"]))
    logits = torch.from_numpy(arr(**case["inputs"]["logits"]))
    mark = one_hot(target, 5).permute(0, 3, 1, 2)
    if name == "perfect":
        return mark.float(), target
    if name != "random":
        logits = 10 * mark + 3.5 * logits
    if name == "gt_background":
        target = torch.zeros_like(target)
    if name == "ignore":
        target[:, :10] = 255
    return logits, target


def rounded(scores: dict[str, float]) -> list[float]:
    """In the order of the golden numbers, which are rounded to four decimals."""
    return [round(scores[name], 4) for name in ("mIoU", "accuracy", "FDR", "F1", "F")]


@pytest.mark.parametrize("name", ["gt_background", "ignore", "perfect", "random"])
def test_scores_of_one_confusion_matrix(golden: Any, name: str) -> None:
    value = golden("metrics.json")[f"cavp/running/c5/{name}"]["value"]
    logits, target = running_inputs(name, golden("metrics.json")[f"cavp/running/c5/{name}"])
    metric = DatasetScores(Task("semantic", tuple("abcd")), "published")
    for frame, step in enumerate(value["steps_miou_acc"]):
        known = DenseTarget(target[frame][None], torch.ones(1, dtype=torch.bool))
        metric.update(DensePrediction(f"clip{frame}", logits[frame][None], (48, 48)), known, frame)
        assert rounded(metric.compute())[:2] == step
    hit, predicted, wanted = metric.clips.joined().sum(0)[0]
    confusion = np.array(value["confusion"])
    assert np.array_equal(hit, confusion.diagonal())
    assert np.array_equal(predicted, confusion.sum(0)) and np.array_equal(wanted, confusion.sum(1))
    assert hit / (predicted + wanted - hit + EPS) == pytest.approx(value["iou_per_class"], rel=1e-12)
    assert rounded(metric.compute()) == value["miou_acc_fdr_f1_f03"]


def test_means_over_some_classes(golden: Any) -> None:
    case = golden("metrics.json")["cavp/running/c5/class_list"]
    logits, target = running_inputs("class_list", case)
    counts = class_counts(logits.argmax(1), target, 5).sum(0)
    chosen = np.isin(np.arange(5), case["options"]["class_list"])
    scores = dataset_scores(counts, chosen) | {"accuracy": counts[0].sum() / counts[2].sum()}
    assert rounded(scores) == case["value"]["miou_acc_fdr_f1_f03"]
    assert scores["mIoU"] == pytest.approx(np.mean(case["value"]["iou_per_class"][:2]), rel=1e-12)
