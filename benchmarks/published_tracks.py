"""The published scores of tracks, transcribed plainly from their description: the other side.

See docs/reference/metrics.md.

Every metric goes through the run lengths by itself. mAP merges the two masks of every pair of tracks of a class, frame
by frame, once for what is in both and once for what is in either; HOTA asks for the IoU of every frame class by class;
FSLA asks for that of every frame once more. Matching is a loop over ranges of area, thresholds, predictions and
true tracks; alphas are looped over frame by frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco
from scipy.optimize import linear_sum_assignment

from avseg.types import InstancePrediction, Rle, TrackTarget

ALPHAS = [step / 100 for step in range(5, 100, 5)]
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RANGES = [(0.0, 1e10), (0.0, 128.0**2), (128.0**2, 256.0**2), (256.0**2, 1e10)]
Pair = tuple[InstancePrediction, TrackTarget]


def published_scores(pairs: list[Pair], classes: int) -> dict[str, float]:
    """mAP, HOTA and FSLA; all masks of predictions are given."""
    return {
        "FSLA": fsla(pairs),
        "HOTA": float(np.mean([hota_of_class(pairs, number) for number in range(1, classes + 1)])),
        "mAP": mean_ap(pairs, classes),
    }


def fit_of_tracks(ious: list[Any], true: list[list[int]], found: list[list[int]], counts: tuple[int, int]) -> Any:
    """(G, P) soft common frames of tracks over frames of either."""
    soft, lengths, widths = np.zeros(counts), np.zeros(counts[0]), np.zeros(counts[1])
    for iou, g, p in zip(ious, true, found, strict=True):
        lengths[g] += 1
        widths[p] += 1
        if not g or not p:
            continue
        either = iou.sum(0)[None] + iou.sum(1)[:, None] - iou
        share = np.zeros_like(iou)
        share[either > 1e-16] = iou[either > 1e-16] / either[either > 1e-16]
        soft[np.ix_(g, p)] += share
    return soft / np.maximum(lengths[:, None] + widths[None] - soft, 1e-16)


def iou_of_frame(true: list[Rle], found: list[Rle]) -> Any:
    if not true or not found:
        return np.zeros((len(true), len(found)))
    return np.asarray(coco.iou(true, found, [False] * len(found)))


def frames_of(masks: list[list[Rle | None]], chosen: list[int], frames: int) -> list[list[int]]:
    """Of every frame the places, among the chosen tracks, of those with a mask."""
    return [[place for place, n in enumerate(chosen) if masks[n][t] is not None] for t in range(frames)]


def hota_of_class(pairs: list[Pair], number: int) -> float:
    hits, missed, false, association = (np.zeros(len(ALPHAS)) for _ in range(4))
    for prediction, truth in pairs:
        g = [i for i, label in enumerate(truth.classes.tolist()) if label == number]
        p = [i for i, label in enumerate(prediction.classes.tolist()) if label == number]
        frames = len(truth.annotated)
        true, found = frames_of(truth.masks, g, frames), frames_of(prediction.masks, p, frames)
        ious = [
            iou_of_frame([truth.masks[g[i]][t] for i in true[t]], [prediction.masks[p[i]][t] for i in found[t]])  # type: ignore[misc]
            for t in range(frames)
        ]
        fit = fit_of_tracks(ious, true, found, (len(g), len(p)))
        common = np.zeros((len(ALPHAS), len(g), len(p)))
        video_hits = np.zeros(len(ALPHAS))
        for t, iou in enumerate(ious):
            rows, columns = linear_sum_assignment(-(fit[np.ix_(true[t], found[t])] * iou))
            for a, alpha in enumerate(ALPHAS):
                right = iou[rows, columns] >= alpha - np.finfo(float).eps
                video_hits[a] += right.sum()
                missed[a] += len(true[t]) - right.sum()
                false[a] += len(found[t]) - right.sum()
                for row, column in zip(rows[right], columns[right], strict=True):
                    common[a, true[t][row], found[t][column]] += 1
        lengths = np.array([[sum(i in frame for frame in true)] for i in range(len(g))]).reshape(-1, 1)
        widths = np.array([sum(i in frame for frame in found) for i in range(len(p))]).reshape(1, -1)
        for a in range(len(ALPHAS)):
            association[a] += (common[a] * common[a] / np.maximum(lengths + widths - common[a], 1)).sum()
        hits += video_hits
    deta, assa = hits / np.maximum(hits + missed + false, 1), association / np.maximum(hits, 1)
    return float(np.sqrt(deta * assa).mean())


def track_iou(true: list[Rle | None], found: list[Rle | None]) -> float:
    both, either = 0, 0
    for a, b in zip(true, found, strict=True):
        if a is not None and b is not None:
            both += int(coco.area(coco.merge([a, b], True)))
            either += int(coco.area(coco.merge([a, b], False)))
        elif a is not None or b is not None:
            either += int(coco.area(a if a is not None else b))
    return both / either if either else 0.0


def mean_area(track: list[Rle | None]) -> float:
    areas = [int(coco.area(mask)) for mask in track if mask is not None]
    areas = [area for area in areas if area]
    return sum(areas) / len(areas) if areas else 0.0


def mean_ap(pairs: list[Pair], classes: int) -> float:
    """Over all areas; the other ranges are matched as well, as they are for the printed figures."""
    values = []
    for number in range(1, classes + 1):
        judged: list[list[tuple[float, Any, Any]]] = [[] for _ in RANGES]
        positives = [0] * len(RANGES)
        for prediction, truth in pairs:
            g = [i for i, label in enumerate(truth.classes.tolist()) if label == number]
            p = [i for i, label in enumerate(prediction.classes.tolist()) if label == number]
            p.sort(key=lambda i: -float(prediction.scores[i]))
            iou = np.array([[track_iou(truth.masks[i], prediction.masks[j]) for i in g] for j in p])
            areas = [mean_area(truth.masks[i]) for i in g], [mean_area(prediction.masks[j]) for j in p]
            scores = [float(prediction.scores[j]) for j in p]
            for r, limits in enumerate(RANGES):
                judged[r] += match(iou, areas, limits, scores)
                positives[r] += sum(limits[0] <= area <= limits[1] for area in areas[0])
        if positives[0]:
            values.append(np.mean([average_precision(judged[0], t, positives[0]) for t in range(len(THRESHOLDS))]))
    return float(np.mean(values))


def match(
    iou: Any, areas: tuple[list[float], list[float]], limits: tuple[float, float], scores: list[float]
) -> list[tuple[float, Any, Any]]:
    """Score, matched and ignored at each threshold of every prediction, best first."""
    outside = [not limits[0] <= area <= limits[1] for area in areas[0]]
    order = sorted(range(len(outside)), key=lambda i: outside[i])
    hits, skips = np.zeros((len(scores), len(THRESHOLDS))), np.zeros((len(scores), len(THRESHOLDS)))
    for t, threshold in enumerate(THRESHOLDS):
        taken: set[int] = set()
        for d in range(len(scores)):
            best, chosen = min(threshold, 1 - 1e-10), None
            for i in order:
                if i in taken:
                    continue
                if chosen is not None and not outside[chosen] and outside[i]:
                    break
                if iou[d, i] >= best:
                    best, chosen = iou[d, i], i
            if chosen is not None:
                taken.add(chosen)
                hits[d, t], skips[d, t] = 1, outside[chosen]
            else:
                skips[d, t] = not limits[0] <= areas[1][d] <= limits[1]
    return list(zip(scores, hits, skips, strict=True))


def average_precision(judged: list[tuple[float, Any, Any]], threshold: int, positives: int) -> float:
    curve, right, wrong = [], 0, 0
    for _, hit, skip in sorted(judged, key=lambda entry: -entry[0]):
        if not skip[threshold]:
            right, wrong = right + int(hit[threshold]), wrong + 1 - int(hit[threshold])
        curve.append((right / positives, right / max(right + wrong, 1)))
    return float(np.mean([max((p for r, p in curve if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)]))


def fsla(pairs: list[Pair]) -> float:
    right, frames = np.zeros(len(ALPHAS)), 0
    for prediction, truth in pairs:
        length = len(truth.annotated)
        everything = [list(range(len(side.masks))) for side in (truth, prediction)]
        true, found = (
            frames_of(side.masks, chosen, length) for side, chosen in zip((truth, prediction), everything, strict=True)
        )
        ious = [
            iou_of_frame([truth.masks[i][t] for i in true[t]], [prediction.masks[i][t] for i in found[t]])  # type: ignore[misc]
            for t in range(length)
        ]
        counts = (len(truth.masks), len(prediction.masks))
        rows, columns = linear_sum_assignment(-fit_of_tracks(ious, true, found, counts))
        for t in range(length):
            right += frame_is_right(prediction, truth, t, ious[t], true[t], (rows, columns))
        frames += length
    return float((right / frames).mean())


def frame_is_right(
    prediction: InstancePrediction, truth: TrackTarget, t: int, iou: Any, there: list[int], pairing: tuple[Any, Any]
) -> Any:
    """Of each alpha; for frames of another size than 921,600 pixels, of which no mask is known to be empty."""
    rows, columns = pairing
    wanted = {int(truth.classes[i]) for i in there}
    if wanted != set(prediction.classes.tolist()) or len(there) != len(prediction.masks):
        return np.zeros(len(ALPHAS))
    if len(there) == 1:
        place = [i for i, column in enumerate(columns) if column == there[0]]
        return np.array([bool(place) and iou[0, place[0]] > alpha for alpha in ALPHAS], dtype=float)
    passed = []
    for alpha in ALPHAS:
        fits = [
            r in there and int(truth.classes[r]) == int(prediction.classes[c]) and iou[there.index(r), c] > alpha
            for r, c in zip(rows, columns, strict=True)
        ]
        passed.append(all(fits))
    return np.array(passed, dtype=float)
