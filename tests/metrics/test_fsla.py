"""FSLA as it is meant, beside a plain form of its definition; and each slip of the published code by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from avseg.io.rle import decode
from avseg.metrics import SUITES
from avseg.types import InstancePrediction, Task, TrackTarget
from track_world import Box, found_of, random_video, truth_of

aviseg = SUITES["aviseg"]

TASK = Task("instance", ("person", "violin", "dog"))
A, B, C = (2, 3, 10, 12), (2, 20, 10, 12), (16, 3, 10, 12)
BLANK = (960, 960)
"""Frames of 921,600 pixels."""


def figures(protocol: str, *pairs: tuple[InstancePrediction, TrackTarget], **options: Any) -> dict[str, float]:
    metric: Any = aviseg(TASK, protocol, **options)[0]
    for index, pair in enumerate(pairs):
        metric.update(*pair, index)
    scores: dict[str, float] = metric.compute()
    return {name: value for name, value in scores.items() if name.startswith("FSLA")}


def plain_fsla(pairs: list[tuple[InstancePrediction, TrackTarget]]) -> dict[str, float]:
    """Frame by frame: the same set of classes, as many instances, and every pair of tracks above alpha."""
    right, frames = {"n": 0.0, "s": 0.0, "m": 0.0}, {"n": 0, "s": 0, "m": 0}
    for prediction, truth in pairs:
        true = [[None if m is None else decode(m) for m in track] for track in truth.masks]
        found = [[None if m is None or not decode(m).any() else decode(m) for m in track] for track in prediction.masks]
        pairing = best_tracks(true, found)
        for t in range(len(truth.annotated)):
            there = {g for g, track in enumerate(true) if track[t] is not None}
            here = {p for p, track in enumerate(found) if track[t] is not None}
            group = "n" if not there else "s" if len(there) == 1 else "m"
            frames[group] += 1
            alike = {int(truth.classes[g]) for g in there} == {int(prediction.classes[p]) for p in here}
            for step in range(1, 20):
                fits = alike and len(there) == len(here)
                for g in there:
                    p = pairing.get(g)
                    fits = fits and p in here and int(truth.classes[g]) == int(prediction.classes[p])
                    fits = fits and iou(true[g][t], found[p][t]) > step / 20
                right[group] += fits / 19
    scores = {f"FSLA{name}": right[name] / frames[name] for name in "nsm" if frames[name]}
    return {"FSLA": sum(right.values()) / sum(frames.values()), **scores}


def iou(a: np.ndarray | None, b: np.ndarray | None) -> float:
    return 0.0 if a is None or b is None else float((a & b).sum() / (a | b).sum())


def best_tracks(true: list[Any], found: list[Any]) -> dict[int, int]:
    """True track to predicted one, so that soft common frames over frames of either are most in sum."""
    fit = np.zeros((len(true), len(found)))
    for t in range(len(true[0]) if true else 0):
        table = np.array([[iou(g[t], p[t]) for p in found] for g in true]).reshape(fit.shape)
        rivals = table.sum(0, keepdims=True) + table.sum(1, keepdims=True) - table
        fit += np.where(rivals > 0, table / np.where(rivals > 0, rivals, 1), 0)
    for g, p in np.ndindex(*fit.shape):
        lengths = sum(m is not None for m in true[g]) + sum(m is not None for m in found[p])
        fit[g, p] = fit[g, p] / (lengths - fit[g, p]) if fit[g, p] else 0
    return {int(g): int(p) for g, p in zip(*linear_sum_assignment(-fit), strict=True)}


@pytest.mark.parametrize("first", [0, 10, 20, 30, 40])
def test_fsla_is_that_of_its_definition(first: int) -> None:
    pairs = [random_video(first + i, classes=2) for i in range(10)]
    expected = plain_fsla(pairs)
    assert figures("aviseg", *pairs) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected["FSLA"] < 1


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_predictions_does_not_matter(seed: int) -> None:
    prediction, truth = random_video(seed + 3, classes=2)
    turned = InstancePrediction(
        prediction.id,
        prediction.masks[::-1],
        prediction.scores.flip(0),
        prediction.classes.flip(0),
        prediction.track_ids,
        prediction.size,
    )
    metrics = [aviseg(TASK, "aviseg")[0] for _ in range(2)]
    metrics[0].update(prediction, truth, 0)
    metrics[1].update(turned, truth, 0)
    assert metrics[1].compute() == pytest.approx(metrics[0].compute())


def test_perfect_tracks_are_right_in_every_group() -> None:
    tracks: list[list[Box | None]] = [[A, A, None], [None, B, None]]
    pair = (found_of([[B if box == B else None for box in tracks[1]], tracks[0]], [2, 1]), truth_of(tracks, [1, 2]))
    assert figures("aviseg", pair) == {"FSLA": 1, "FSLAn": 1, "FSLAs": 1, "FSLAm": 1}


def test_silence_is_right_as_published_only_without_any_prediction() -> None:
    """And a frame in which only some of the predicted classes sound is wrong."""
    truth = truth_of([[A, None, A], [None, None, B]], [1, 2], BLANK)
    pair = (found_of([[A, "", A], ["", "", B]], [1, 2], size=BLANK), truth)
    assert figures("aviseg_upstream", pair) == {"FSLA": pytest.approx(1 / 3), "FSLAn": 0, "FSLAs": 0, "FSLAm": 1}
    assert figures("aviseg", pair)["FSLA"] == 1
    nothing = (found_of([], [], size=BLANK), truth_of([], [], BLANK, frames=2))
    assert figures("aviseg_upstream", pair, nothing)["FSLAn"] == pytest.approx(2 / 3)


def test_empty_masks_are_known_as_published_only_at_one_size() -> None:
    tracks = [[A, A], [None, B]]
    scores = []
    for size in ((30, 40), BLANK, (720, 1280)):
        pair = (found_of([[A, A], ["", B]], [1, 1], size=size), truth_of(tracks, [1, 1], size))
        scores.append(figures("aviseg_upstream", pair)["FSLAs"])
        assert figures("aviseg", pair)["FSLAs"] == 1
    assert scores == [0, 1, 1]


def test_one_instance_is_looked_up_as_published_by_the_inverse_pairing() -> None:
    """The only true track is given prediction 1, so that no true track is given prediction 0."""
    truth = truth_of([[A, A, A]], [1], BLANK)
    second = (found_of([[C, "", ""], ["", A, A]], [1, 1], size=BLANK), truth)
    first = (found_of([["", A, A], [C, "", ""]], [1, 1], size=BLANK), truth)
    assert figures("aviseg_upstream", second)["FSLAs"] == 0
    assert figures("aviseg_upstream", first)["FSLAs"] == pytest.approx(2 / 3)
    assert figures("aviseg", second) == figures("aviseg", first) == {"FSLA": 2 / 3, "FSLAs": 2 / 3}


def test_true_tracks_are_looked_up_as_published_without_those_that_never_sound() -> None:
    """Row 0 of the pairing is the second track of the file, but the first one is looked at."""
    truth = truth_of([[None, None], [A, A], [B, B]], [2, 1, 1], BLANK)
    pair = (found_of([[A, A], [B, B]], [1, 1], size=BLANK), truth)
    assert figures("aviseg_upstream", pair)["FSLAm"] == 0 and figures("aviseg", pair)["FSLAm"] == 1
    # The rows are in the order of their numbers, the tracks that are looked at in that of the file.
    turned = (pair[0], truth_of([[A, A], [B, B]], [1, 1], BLANK, ids=[9, 4]))
    assert figures("aviseg_upstream", turned)["FSLAm"] == 0 and figures("aviseg", turned)["FSLAm"] == 1


def test_none_is_an_empty_mask_as_published_unless_it_is_to_be_none() -> None:
    truth = truth_of([[A, None], [None, B]], [1, 2], BLANK)
    pair = (found_of([[A, None], [None, B]], [1, 2], size=BLANK), truth)
    assert figures("aviseg_upstream", pair)["FSLAs"] == 0
    assert figures("aviseg_upstream", pair, silent="absent")["FSLAs"] == 1


def test_groups_without_frames_are_left_out_and_nan_as_published() -> None:
    pair = (found_of([[A]], [1]), truth_of([[A]], [1]))
    assert set(figures("aviseg", pair)) == {"FSLA", "FSLAs"}
    published = figures("aviseg_upstream", pair)
    assert published["FSLAs"] == 1 and math.isnan(published["FSLAn"]) and math.isnan(published["FSLAm"])


def test_an_extra_track_is_wrong_where_it_has_a_mask() -> None:
    truth = truth_of([[A, A, None]], [1])
    pair = (found_of([[A, A, None], [None, C, C]], [1, 1]), truth)
    assert figures("aviseg", pair) == {"FSLA": pytest.approx(1 / 3), "FSLAs": 0.5, "FSLAn": 0}


def test_iou_equal_to_alpha_is_not_enough() -> None:
    truth = truth_of([[(0, 0, 10, 10)]], [1])
    pair = (found_of([[(0, 0, 5, 10)]], [1]), truth)  # IoU 0.5: above nine of 19
    assert figures("aviseg", pair)["FSLA"] == pytest.approx(9 / 19)
