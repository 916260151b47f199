"""mAP of tracks beside COCO's own evaluation: the frames of a video below each other are one tall picture."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch

from avseg.io.rle import decode, encode
from avseg.metrics import SUITES
from avseg.metrics.tracks.video_map import AREAS, match
from avseg.types import InstancePrediction, Rle, Task, TrackTarget
from track_world import found_of, random_video, truth_of

aviseg = SUITES["aviseg"]

TASK = Task("instance", ("person", "violin", "dog"))
SIZE = (300, 420)
"""Large enough for tracks of every range of areas."""

Pair = tuple[InstancePrediction, TrackTarget]


def stacked(track: list[Rle | None], size: tuple[int, int]) -> tuple[Rle, float]:
    """A track as one mask of all its frames, and its mean area over the frames in which it has one."""
    masks = [np.zeros(size, dtype=bool) if mask is None else decode(mask) for mask in track]
    areas = [mask.sum() for mask in masks if mask.any()]
    return encode(np.concatenate(masks)), float(np.mean(areas)) if areas else 0.0


def coco_figures(pairs: list[Pair]) -> dict[str, float]:
    """What COCO's evaluation says of the tall pictures, with our ranges of areas and no limit on detections."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    true, found, images = [], [], []
    for image, (prediction, truth) in enumerate(pairs, 1):
        images.append({"id": image, "height": len(truth.annotated) * truth.size[0], "width": truth.size[1]})
        for track, number in zip(truth.masks, truth.classes.tolist(), strict=True):
            rle, area = stacked(track, truth.size)
            entry = {"segmentation": rle, "area": area, "iscrowd": 0, "image_id": image, "category_id": number}
            true.append({**entry, "id": len(true) + 1})
        for track, number, score in zip(prediction.masks, prediction.classes, prediction.scores, strict=True):
            rle, area = stacked(track, truth.size)
            if area:
                entry = {"segmentation": rle, "area": area, "image_id": image, "category_id": int(number)}
                found.append({**entry, "score": float(score), "id": len(found) + 1})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": images,
            "categories": [{"id": number, "name": name} for number, name in enumerate(TASK.classes, 1)],
            "annotations": true,
        }
        coco.createIndex()
        results = COCO()
        results.dataset = {**coco.dataset, "annotations": [{**entry, "iscrowd": 0} for entry in found]}
        results.createIndex()
        judge = COCOeval(coco, results, "segm")
        judge.params.areaRng, judge.params.areaRngLbl = [list(area) for area in AREAS.values()], list(AREAS)
        judge.params.maxDets = [1000]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][..., 0], judge.eval["recall"][..., 0]  # (10, 101, K, R), (10, K, R)
    figures = {f"mAP{name}": known_mean(precision[..., r]) for r, name in enumerate(AREAS)}
    figures["AR"] = known_mean(recall[..., 0])
    return {name: value for name, value in figures.items() if value >= 0}


def known_mean(values: np.ndarray) -> float:
    return float(values[values > -1].mean()) if (values > -1).any() else -1.0


def figures_of(pairs: list[Pair], protocol: str = "aviseg") -> dict[str, float]:
    metric: Any = aviseg(TASK, protocol)[0]
    for index, pair in enumerate(pairs):
        metric.update(*pair, index)
    scores: dict[str, float] = metric.compute()
    return {name: value for name, value in scores.items() if name.startswith(("mAP", "AR"))}


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_tracks_are_scored_as_coco_scores_tall_pictures(first: int) -> None:
    pairs = [random_video(first + i, frames=1 + 3 * (i % 2), size=SIZE, ties=first % 40 == 0) for i in range(8)]
    expected = coco_figures(pairs)
    assert figures_of(pairs) == pytest.approx(expected, abs=1e-12)
    assert 0.02 < expected["mAP"] < 0.98


def test_precision_falls_with_every_false_track_above_a_right_one() -> None:
    box, other = (2, 3, 10, 12), (20, 20, 8, 8)
    truth = truth_of([[box, box]], [1])
    right, wrong = [box, box], [other, other]
    assert figures_of([(found_of([right, wrong], [1, 1], [0.9, 0.8]), truth)])["mAP"] == pytest.approx(1)
    assert figures_of([(found_of([wrong, right], [1, 1], [0.9, 0.8]), truth)])["mAP"] == pytest.approx(0.5)
    # A class without a true track costs nothing, however sure the model is.
    assert figures_of([(found_of([right, wrong], [1, 2], [0.8, 0.9]), truth)])["mAP"] == pytest.approx(1)


def test_ranges_without_a_track_are_left_out_and_minus_one_as_published() -> None:
    box = (2, 3, 10, 12)
    pairs = [(found_of([[box]], [1]), truth_of([[box]], [1]))]
    assert set(figures_of(pairs)) == {"mAP", "mAP_s", "AR"}
    published = figures_of(pairs, "aviseg_upstream")
    assert published["mAP_s"] == 1 and published["mAP_m"] == published["mAP_l"] == -1


def test_areas_are_those_of_the_file_where_it_has_them() -> None:
    box, truth = (2, 3, 10, 12), truth_of([[(2, 3, 10, 12)]], [1])
    noted = TrackTarget(
        truth.masks, truth.classes, truth.track_ids, truth.annotated, truth.size, torch.tensor([[3e4]]).double()
    )
    assert set(figures_of([(found_of([[box]], [1]), noted)])) == {"mAP", "mAP_m", "AR"}


def test_the_very_first_prediction_leaves_its_track_free_as_published() -> None:
    """Twice the same object: the second one is false, but not where the first one has the number 0."""
    box, other = (2, 3, 10, 12), (15, 20, 8, 8)
    truth = truth_of([[box], [other]], [1, 1])
    twice = found_of([[box], [box], [other]], [1, 1, 1], [0.9, 0.8, 0.7], name="a")
    alone = figures_of([(twice, truth)], "aviseg_upstream")["mAP"]
    repaired = figures_of([(twice, truth)])["mAP"]
    assert alone == pytest.approx(1)  # three right ones of two
    assert repaired == pytest.approx((51 + 50 * 2 / 3) / 101)
    # In any other video it is as it should be; the first one is that of the least name, wherever it stands.
    second = found_of([[box], [box], [other]], [1, 1, 1], [0.9, 0.8, 0.7], name="b")
    first = (found_of([[box]], [2], name="a"), truth_of([[box]], [2]))
    both = figures_of([(second, truth), first], "aviseg_upstream")["mAP"]
    assert both == pytest.approx((1 + repaired) / 2)


def test_of_equally_good_tracks_the_later_one_is_taken() -> None:
    """Which leaves the first one to the second prediction, that fits no other."""
    matched, ignored = match(np.array([[0.6, 0.6], [0.6, 0.0]]), np.zeros((1, 2), dtype=bool))
    assert matched[0, :3].all() and not matched[0, 3:].any() and not ignored.any()
    turned, _ = match(np.array([[0.6, 0.6], [0.0, 0.6]]), np.zeros((1, 2), dtype=bool))
    assert turned[0, :3, 0].all() and not turned[0, :, 1].any()


def test_tracks_of_another_size_are_taken_only_where_no_other_is_left() -> None:
    """The first fits better, but is outside the range: it is taken, and ignored, where the second fits too little."""
    matched, ignored = match(np.array([[0.88, 0.63]]), np.array([[True, False]]))
    assert matched[0, :, 0].tolist() == [True] * 8 + [False] * 2  # up to 0.85
    assert ignored[0, :, 0].tolist() == [False] * 3 + [True] * 5 + [False] * 2
