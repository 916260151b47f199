"""HOTA beside a plain form of its definition (Luiten et al. 2021, section 4), which shares no line with it."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from avseg.io.rle import decode
from avseg.metrics import SUITES
from avseg.metrics.tracks.hota import hota_counts, hota_figures
from avseg.types import InstancePrediction, Task, TrackTarget
from track_world import found_of, random_video, truth_of

aviseg = SUITES["aviseg"]

TASK = Task("instance", ("person", "violin", "dog"))

Masks = dict[str, np.ndarray]
"""Name of a track to its mask, of one frame."""


def frames_of(pair: tuple[InstancePrediction, TrackTarget], number: int, empty: bool) -> list[tuple[Masks, Masks]]:
    """True and predicted masks of a class, frame by frame; `empty`: empty predictions and None count as masks."""
    prediction, truth = pair
    frames = []
    for t in range(len(truth.annotated)):
        true, found = {}, {}
        for g, track in enumerate(truth.masks):
            if truth.classes[g] == number and track[t] is not None:
                true[f"{prediction.id}/{g}"] = decode(track[t])
        for p, track in enumerate(prediction.masks):
            if prediction.classes[p] == number:
                mask = np.zeros(truth.size, dtype=bool) if track[t] is None else decode(track[t])
                if mask.any() or empty:
                    found[f"{prediction.id}/{p}"] = mask
        frames.append((true, found))
    return frames


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else 0.0


def fit_of_tracks(frames: list[tuple[Masks, Masks]]) -> dict[tuple[str, str], float]:
    """How well each pair of tracks fits over all frames: soft common frames over frames of either."""
    soft: dict[tuple[str, str], float] = {}
    lengths: dict[str, int] = {}
    for true, found in frames:
        for name in true:
            lengths["t" + name] = lengths.get("t" + name, 0) + 1
        for name in found:
            lengths["p" + name] = lengths.get("p" + name, 0) + 1
        iou = {(g, p): overlap(true[g], found[p]) for g in true for p in found}
        for (g, p), value in iou.items():
            rivals = sum(v for (g2, _), v in iou.items() if g2 == g) + sum(v for (_, p2), v in iou.items() if p2 == p)
            if value:
                soft[g, p] = soft.get((g, p), 0) + value / (rivals - value)
    return {(g, p): value / (lengths["t" + g] + lengths["p" + p] - value) for (g, p), value in soft.items()}


def best_pairs(true: Masks, found: Masks, fit: dict[tuple[str, str], float]) -> list[tuple[str, str, float]]:
    """The one-to-one pairs of a frame of the greatest sum of fit x IoU, by trying them all."""
    few, many, turned = list(true), list(found), False
    if len(few) > len(many):
        few, many, turned = many, few, True
    best, chosen = -1.0, []
    for order in permutations(many, len(few)):
        pairs = [(b, a) if turned else (a, b) for a, b in zip(few, order, strict=True)]
        pairs = [(g, p) for g, p in pairs if overlap(true[g], found[p]) > 0]
        worth = sum(fit.get(pair, 0) * overlap(true[pair[0]], found[pair[1]]) for pair in pairs)
        if worth > best + 1e-12:
            best, chosen = worth, [(g, p, overlap(true[g], found[p])) for g, p in pairs]
    return chosen


def plain_hota(videos: list[list[tuple[Masks, Masks]]]) -> dict[str, float]:
    """Of one class, mean over alphas; association is summed over every single true positive."""
    matches = []  # of each video
    for frames in videos:
        fit = fit_of_tracks(frames)
        matches.append([best_pairs(true, found, fit) for true, found in frames])
    sums: dict[str, float] = {}
    for step in range(1, 20):
        alpha = step / 20
        hits, missed, false, where, association, recall, precision = 0, 0, 0, 0.0, 0.0, 0.0, 0.0
        for frames, pairs in zip(videos, matches, strict=True):
            kept = [[(g, p, iou) for g, p, iou in pair if iou >= alpha - 1e-12] for pair in pairs]
            hits += sum(map(len, kept))
            missed += sum(len(true) for true, _ in frames) - sum(map(len, kept))
            false += sum(len(found) for _, found in frames) - sum(map(len, kept))
            for g, p, iou in (match for frame in kept for match in frame):
                where += iou
                tpa = sum((g, p) in [(a, b) for a, b, _ in frame] for frame in kept)
                fna = sum(g in true for true, _ in frames) - tpa
                fpa = sum(p in found for _, found in frames) - tpa
                association += tpa / (tpa + fna + fpa)
                recall, precision = recall + tpa / (tpa + fna), precision + tpa / (tpa + fpa)
        deta = hits / max(hits + missed + false, 1)
        assa = association / max(hits, 1)
        parts = {
            "HOTA": math.sqrt(deta * assa),
            "DetA": deta,
            "AssA": assa,
            "DetRe": hits / max(hits + missed, 1),
            "DetPr": hits / max(hits + false, 1),
            "AssRe": recall / max(hits, 1),
            "AssPr": precision / max(hits, 1),
            "LocA": where / hits if hits else 1.0,
        }
        for name, value in parts.items():
            sums[name] = sums.get(name, 0) + value / 19
    return sums


@pytest.mark.parametrize("first", [0, 20, 40, 60])
@pytest.mark.parametrize("protocol", ["aviseg", "aviseg_upstream"])
def test_hota_is_that_of_its_definition(protocol: str, first: int) -> None:
    pairs = [random_video(first + i, frames=5) for i in range(6)]
    metric: Any = aviseg(TASK, protocol)[0]
    for index, pair in enumerate(pairs):
        metric.update(*pair, index)
    empty = protocol == "aviseg_upstream"
    classes = [plain_hota([frames_of(pair, number, empty) for pair in pairs]) for number in (1, 2, 3)]
    figures = metric.compute()
    for name in classes[0]:
        expected = sum(parts[name] for parts in classes) / 3
        assert figures[name] == pytest.approx(expected, abs=1e-12), name
    assert 0.05 < figures["HOTA"] < 0.95


def test_a_track_that_changes_its_name_halves_association_alone() -> None:
    box = (2, 3, 10, 12)
    truth = truth_of([[box] * 4], [1])
    metric: Any = aviseg(TASK, "aviseg")[0]
    metric.update(found_of([[box, box, None, None], [None, None, box, box]], [1, 1]), truth, 0)
    figures = metric.compute()
    assert figures["DetA"] == 1 and figures["AssA"] == 0.5
    assert figures["AssRe"] == 0.5 and figures["AssPr"] == 1
    assert figures["HOTA"] == pytest.approx(math.sqrt(0.5))


def test_classes_that_occur_nowhere_cost_the_published_hota_alone() -> None:
    box = (2, 3, 10, 12)
    figures = {}
    for protocol in ("aviseg_upstream", "aviseg"):
        metric: Any = aviseg(TASK, protocol)[0]
        metric.update(found_of([[box, box]], [2]), truth_of([[box, box]], [2]), 0)
        figures[protocol] = metric.compute()
    assert figures["aviseg"]["HOTA"] == 1 and figures["aviseg_upstream"]["HOTA"] == pytest.approx(1 / 3)
    assert figures["aviseg_upstream"]["LocA"] == 1  # which is 1 for them


def test_an_empty_mask_is_a_false_detection_as_published() -> None:
    """It also makes the track longer: of 2 + 2 frames 2 are right."""
    box = (2, 3, 10, 12)
    truth = truth_of([[box, box, None, None]], [1])
    figures = {}
    for protocol in ("aviseg_upstream", "aviseg"):
        metric: Any = aviseg(Task("instance", ("person",)), protocol)[0]
        metric.update(found_of([[box, box, "", None]], [1]), truth, 0)
        figures[protocol] = metric.compute()
    assert figures["aviseg"]["HOTA"] == 1
    assert figures["aviseg_upstream"]["DetA"] == figures["aviseg_upstream"]["AssA"] == 0.5


def test_iou_equal_to_alpha_is_a_match() -> None:
    there = np.ones((1, 1), dtype=bool)
    counts = hota_counts(np.full((1, 1, 1), 0.35), there, there)
    assert counts[0].tolist() == [1] * 7 + [0] * 12
    assert hota_figures(counts[None])["DetA"] == pytest.approx(7 / 19)
