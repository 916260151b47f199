"""The criteria of AVISM against their definitions written out, frame by frame, query by query, by brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses import matching
from avseg.losses.config import SetConfig
from avseg.losses.matching import Matches, over_workers
from avseg.losses.points import uncertain_points, uniform_points
from avseg.models.avism.criterion import ClipCriterion, FrameCriterion, similarity_term
from avseg.models.avism.network import ClipPrediction, FramePrediction
from avseg.models.avism.truth import InstanceTruth, truth_of
from avseg.types import Batch, InstanceTarget
from models.small_avism import INSTANCES, boxes, noise, told, two_clips

POINTS = 40
CONFIG = SetConfig(points=POINTS, class_weight=2.0, mask_weight=5.0, dice_weight=4.0)
PADDED = (64, 64)
CLASSES = len(INSTANCES.classes)
QUERIES, WIDTH, LAYERS = 4, 6, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def truth_for(batch: Batch, **options: bool) -> InstanceTruth:
    return truth_of(batch, batch.sizes, PADDED, CLASSES, **options)


def frame_predictions(count: int, frames: int, seed: int = 1) -> list[FramePrediction]:
    g = seeded(seed)
    return [
        FramePrediction(
            torch.randn(frames, QUERIES, CLASSES + 1, generator=g),
            3 * torch.randn(frames, QUERIES, 16, 16, generator=g),
        )
        for _ in range(count)
    ]


def clip_predictions(count: int, clips: int, seed: int = 2) -> list[ClipPrediction]:
    g = seeded(seed)
    return [
        ClipPrediction(
            torch.randn(LAYERS, clips, QUERIES, CLASSES + 1, generator=g),
            torch.randn(LAYERS, clips, QUERIES, WIDTH, generator=g),
        )
        for _ in range(count)
    ]


# ---- the definitions, one number at a time


def at(picture: Tensor, points: Tensor) -> Tensor:
    """(h, w) at (P, 2) points from 0 to 1."""
    return F.grid_sample(picture[None, None].float(), 2 * points[None, None] - 1, align_corners=False)[0, 0, 0]


def own_size(batch: Batch, clip: int) -> tuple[int, int]:
    """Of a clip's picture filled up to a multiple of 32."""
    height, width = batch.sizes[clip].tolist()
    return -(-height // 32) * 32, -(-width // 32) * 32


def mask_at(batch: Batch, clip: int, n: int, t: int, points: Tensor) -> Tensor:
    """The truth of one frame, filled up, at points of its own picture."""
    assert batch.targets is not None
    target = batch.targets[clip]
    assert isinstance(target, InstanceTarget)
    mask, (height, width) = target.masks[n, t], own_size(batch, clip)
    return at(F.pad(mask, (0, width - mask.shape[1], 0, height - mask.shape[0])), points)


def map_at(batch: Batch, clip: int, logits: Tensor, points: Tensor) -> Tensor:
    """The network's map spans the batch's picture."""
    height, width = own_size(batch, clip)
    return at(logits, points * torch.tensor([width / PADDED[1], height / PADDED[0]]))


def bce(x: Tensor, t: Tensor) -> float:
    return float(sum(-t[i] * F.logsigmoid(x[i]) - (1 - t[i]) * F.logsigmoid(-x[i]) for i in range(len(x))) / len(x))


def dice(x: Tensor, t: Tensor) -> float:
    p = x.sigmoid()
    return float(1 - (2 * sum(p * t) + 1) / (sum(p) + sum(t) + 1))


def best(costs: dict[tuple[int, int], float], queries: int, instances: list[int]) -> dict[int, int]:
    """The query of each instance, by trying all ways."""
    ways = itertools.permutations(range(queries), len(instances))
    way = min(ways, key=lambda way: sum(costs[q, n] for q, n in zip(way, instances, strict=True)))
    return dict(zip(instances, way, strict=True))


def cross_entropy(logits: Tensor, labels: list[list[int]], no_object: float) -> float:
    top = bottom = 0.0
    for g, row in enumerate(labels):
        for q, label in enumerate(row):
            weight = no_object if label == CLASSES else 1.0
            top -= weight * float(logits[g, q].log_softmax(-1)[label])
            bottom += weight
    return top / bottom


def present(batch: Batch, clip: int, t: int) -> list[int]:
    assert batch.targets is not None
    target = batch.targets[clip]
    assert isinstance(target, InstanceTarget)
    return [n for n in range(len(target.masks)) if target.masks[n, t].any()]


def judged(batch: Batch) -> list[tuple[int, int]]:
    assert batch.targets is not None
    places = itertools.product(range(len(batch)), range(batch.valid.shape[1]))
    return [(b, t) for b, t in places if batch.valid[b, t] and batch.targets[b].annotated[t]]


def label(batch: Batch, clip: int, n: int) -> int:
    assert batch.targets is not None
    target = batch.targets[clip]
    assert isinstance(target, InstanceTarget)
    return int(target.classes[n]) - 1


def uncertain(batch: Batch, maps: list[tuple[int, Tensor]], generator: torch.Generator) -> Tensor:
    scale = [[own_size(batch, b)[1] / PADDED[1], own_size(batch, b)[0] / PADDED[0]] for b, _ in maps]
    stacked = torch.stack([m for _, m in maps])
    return uncertain_points(stacked, POINTS, 3.0, 0.75, generator, torch.tensor(scale))


def cost_of(logits: Tensor, wanted: int, x: Tensor, t: Tensor, config: SetConfig) -> float:
    """Of one query for one instance."""
    probability = float(logits.softmax(-1)[wanted])
    return -config.class_weight * probability + config.mask_weight * bce(x, t) + config.dice_weight * dice(x, t)


def frame_terms(
    batch: Batch, predictions: list[FramePrediction], config: SetConfig, generator: torch.Generator
) -> dict[str, float]:
    places = judged(batch)
    points = uniform_points(len(places), POINTS, generator)
    count = sum(len(present(batch, b, t)) for b, t in places)
    total = {"class": 0.0, "mask": 0.0, "dice": 0.0}
    for prediction in predictions:
        labels = [[CLASSES] * QUERIES for _ in places]
        matched = []
        for f, (b, t) in enumerate(places):
            costs = {}
            for q, n in itertools.product(range(QUERIES), present(batch, b, t)):
                x = map_at(batch, b, prediction.mask_logits[f, q], points[f])
                truth = mask_at(batch, b, n, t, points[f])
                costs[q, n] = cost_of(prediction.class_logits[f, q], label(batch, b, n), x, truth, config)
            for n, q in best(costs, QUERIES, present(batch, b, t)).items():
                labels[f][q] = label(batch, b, n)
                matched.append((b, t, n, prediction.mask_logits[f, q]))
        total["class"] += config.class_weight * cross_entropy(prediction.class_logits, labels, config.no_object_weight)
        drawn = uncertain(batch, [(b, logits) for b, _, _, logits in matched], generator)
        for (b, t, n, logits), own in zip(matched, drawn, strict=True):
            x, truth = map_at(batch, b, logits, own), mask_at(batch, b, n, t, own)
            total["mask"] += config.mask_weight * bce(x, truth) / count
            total["dice"] += config.dice_weight * dice(x, truth) / count
    return total


def clip_terms(
    batch: Batch, predictions: list[ClipPrediction], features: Tensor, config: SetConfig, generator: torch.Generator
) -> dict[str, float]:
    times = {b: [t for c, t in judged(batch) if c == b] for b in range(len(batch))}
    seen = {b: sorted({n for t in times[b] for n in present(batch, b, t)}) for b in times}
    points = uniform_points(len(batch), POINTS, generator)
    count = sum(map(len, seen.values())) * LAYERS
    frames = features.shape[1]
    total = {"class": 0.0, "mask": 0.0, "dice": 0.0}
    for prediction in predictions:
        masks = torch.einsum("lbqd,btdhw->lbqthw", prediction.mask_embeddings, features)
        labels = [[CLASSES] * QUERIES for _ in range(LAYERS * len(batch))]
        matched = []
        for b, layer in itertools.product(range(len(batch)), range(LAYERS)):
            costs = {}
            for q, n in itertools.product(range(QUERIES), seen[b]):
                x = torch.cat([map_at(batch, b, masks[layer, b, q, t], points[b]) for t in times[b]])
                truth = torch.cat([mask_at(batch, b, n, t, points[b]) for t in times[b]])
                logits = prediction.class_logits[layer, b, q]
                costs[q, n] = cost_of(logits, label(batch, b, n), x, truth, config)
            for n, q in best(costs, QUERIES, seen[b]).items():
                labels[layer * len(batch) + b][q] = label(batch, b, n)
                matched.append((b, n, masks[layer, b, q]))
        flat = prediction.class_logits.flatten(0, 1)
        total["class"] += config.class_weight * cross_entropy(flat, labels, config.no_object_weight)
        drawn = uncertain(batch, [(b, m) for b, _, maps in matched for m in maps], generator)
        for (b, n, maps), own in zip(matched, drawn.unflatten(0, (-1, frames)), strict=True):
            x = torch.cat([map_at(batch, b, maps[t], own[t]) for t in times[b]])
            truth = torch.cat([mask_at(batch, b, n, t, own[t]) for t in times[b]])
            total["mask"] += config.mask_weight * bce(x, truth) / count
            total["dice"] += config.dice_weight * dice(x, truth) / count
    return total


# ---- the criteria


def test_frames_lose_what_the_definition_says() -> None:
    """Two clips of two sizes and lengths, one frame without truth, three supervised predictions."""
    batch = Batch.collate(two_clips())
    predictions = frame_predictions(3, len(judged(batch)))
    own = FrameCriterion(CONFIG, truth_for(batch), seeded())
    found = own.terms(predictions, own.match(predictions), own.count())
    wanted = frame_terms(batch, predictions, CONFIG, seeded())
    assert {name: float(term) for name, term in found.items()} == pytest.approx(wanted, rel=1e-4)


def test_clips_lose_what_the_definition_says() -> None:
    batch = Batch.collate(two_clips())
    predictions = clip_predictions(2, len(batch))
    features = torch.randn(2, 4, WIDTH, 16, 16, generator=seeded(5))
    own = ClipCriterion(CONFIG, truth_for(batch), features, seeded())
    found = own.terms(predictions, own.match(predictions), own.count(LAYERS))
    wanted = clip_terms(batch, predictions, features, CONFIG, seeded())
    assert {name: float(term) for name, term in found.items()} == pytest.approx(wanted, rel=1e-4)


def test_similarity_takes_matched_queries_of_a_clip_and_layer() -> None:
    """Pairs of entries of one (layer, clip), each with itself too, against the definition."""
    g = seeded(3)
    of_frames, of_clips = torch.randn(2, 2, 3, 4, 5, generator=g), torch.randn(2, 2, 4, 5, generator=g)
    places = (torch.tensor([0, 0, 1]), torch.tensor([0, 2, 1]))  # three judged frames of two clips
    first = Matches(torch.tensor([0, 0, 1, 2]), torch.tensor([3, 1, 0, 2]), torch.tensor([0, 1, 1, 0]))
    second = Matches(torch.tensor([0, 2]), torch.tensor([2, 2]), torch.tensor([1, 0]))
    of_clip = Matches(torch.tensor([0, 0, 1, 2, 3]), torch.tensor([0, 1, 2, 3, 0]), torch.tensor([0, 1, 0, 1, 0]))
    entries: dict[tuple[int, int], list[tuple[int, Tensor]]] = {}
    for layer, pairs in enumerate((first, second)):
        for f, q, n in zip(pairs.group.tolist(), pairs.query.tolist(), pairs.instance.tolist(), strict=True):
            b, t = int(places[0][f]), int(places[1][f])
            entries.setdefault((layer, b), []).append((n, of_frames[layer, b, t, q]))
    for group, q, n in zip(of_clip.group.tolist(), of_clip.query.tolist(), of_clip.instance.tolist(), strict=True):
        layer, b = divmod(group, 2)
        entries.setdefault((layer, b), []).append((n, of_clips[layer, b, q]))
    terms = [
        float(F.binary_cross_entropy_with_logits(x @ y, torch.tensor(float(n == m))))
        for own in entries.values()
        for (n, x), (m, y) in itertools.product(own, own)
    ]
    loss = similarity_term(of_frames, of_clips, [first, second], of_clip, places, 0.5)
    assert float(loss) == pytest.approx(0.5 * sum(terms) / len(terms), rel=1e-5)


def test_the_order_of_queries_changes_nothing() -> None:
    batch = Batch.collate(two_clips())
    order = torch.tensor([2, 0, 3, 1])
    frames, clips = frame_predictions(2, len(judged(batch))), clip_predictions(2, 2)
    features = torch.randn(2, 4, WIDTH, 16, 16, generator=seeded(5))

    def terms(mixed: bool) -> list[float]:
        where = order if mixed else torch.arange(QUERIES)
        of_frames = [FramePrediction(p.class_logits[:, where], p.mask_logits[:, where]) for p in frames]
        of_clips = [ClipPrediction(p.class_logits[:, :, where], p.mask_embeddings[:, :, where]) for p in clips]
        generator, truth = seeded(), truth_for(batch)
        first, second = FrameCriterion(CONFIG, truth, generator), ClipCriterion(CONFIG, truth, features, generator)
        found = first.terms(of_frames, first.match(of_frames), first.count())
        more = second.terms(of_clips, second.match(of_clips), second.count(LAYERS))
        return [float(term) for term in (*found.values(), *more.values())]

    assert terms(True) == pytest.approx(terms(False), rel=1e-5)


def test_the_order_of_instances_changes_points_alone() -> None:
    clip = two_clips()[0]
    assert isinstance(clip.target, InstanceTarget)
    target = replace(clip.target, masks=clip.target.masks.flip(0), classes=clip.target.classes.flip(0))
    many = replace(CONFIG, points=6000)
    predictions = frame_predictions(1, 3)
    found = []
    for own in (clip, replace(clip, target=target)):
        of_frames = FrameCriterion(many, truth_for(Batch.collate([own])), seeded())
        pairs = of_frames.match(predictions)
        found.append({k: float(v) for k, v in of_frames.terms(predictions, pairs, of_frames.count()).items()})
    assert found[0]["class"] == pytest.approx(found[1]["class"], rel=1e-6)
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_the_truth_itself_loses_next_to_nothing() -> None:
    """Boxes on the grid of the maps; what is left is lost on their borders, which a map cannot draw as sharp."""
    box = (16, 16, 64, 48)
    clip = told(noise(2), boxes([box, box], [None, (0, 48, 32, 64)]), [2, 3])
    batch = Batch.collate([clip])
    truth = truth_for(batch)
    rough = replace(CONFIG, points=4000, importance=0.0)
    masks = truth.masks[0].float().reshape(2, 2, 16, 4, 16, 4).mean((3, 5))  # (T, N, 16, 16)
    classes = torch.full((2, QUERIES, CLASSES + 1), -20.0)
    classes[..., -1] = 20.0
    classes[0, 3] = torch.tensor([-20.0, 20, -20, -20])
    classes[1, :2] = torch.tensor([[-20.0, -20, 20, -20], [-20, 20, -20, -20]])
    logits = torch.full((2, QUERIES, 16, 16), -40.0)
    logits[0, 3], logits[1, 0], logits[1, 1] = (80 * m - 40 for m in (masks[0, 0], masks[1, 1], masks[1, 0]))
    of_frames = FrameCriterion(rough, truth, seeded())

    def lost(prediction: FramePrediction) -> dict[str, float]:
        pairs = of_frames.match([prediction])
        return {k: float(v) for k, v in of_frames.terms([prediction], pairs, of_frames.count()).items()}

    planted = lost(FramePrediction(classes, logits))
    assert planted["class"] < 1e-6 and planted["mask"] < 0.5 and planted["dice"] < 0.1
    wrong = lost(FramePrediction(classes.flip(1), -logits))
    assert wrong["class"] > 10 and wrong["mask"] > 50 * planted["mask"] and wrong["dice"] > 1.5


def test_what_is_silent_at_first_keeps_its_class_unless_the_slip_is_repeated() -> None:
    """Published: the second instance is "no object" in all frames, and in the clip."""
    batch = Batch.collate(two_clips()[:1])
    assert truth_for(batch).labels.tolist() == [[0, 2]]
    slipped = truth_for(batch, silent_first=True)
    assert slipped.labels.tolist() == [[0, CLASSES]]
    assert torch.equal(slipped.present, truth_for(batch).present)
    predictions = clip_predictions(1, 1)
    features = torch.randn(1, 4, WIDTH, 16, 16, generator=seeded(5))
    own = ClipCriterion(CONFIG, slipped, features, seeded())
    (pairs,) = own.match(predictions)
    assert len(pairs) == 2 * LAYERS  # it still has a query, whose mask is trained
    terms = own.terms(predictions, [pairs], own.count(LAYERS))
    labels = [[CLASSES] * QUERIES for _ in range(LAYERS)]
    for group, query, instance in zip(pairs.group, pairs.query, pairs.instance, strict=True):
        labels[group][query] = 0 if instance == 0 else CLASSES
    wanted = cross_entropy(predictions[0].class_logits.flatten(0, 1), labels, 0.1)
    assert float(terms["class"]) == pytest.approx(2 * wanted, rel=1e-5)


def test_an_instance_that_no_judged_frame_shows_takes_no_part() -> None:
    hidden = boxes([(4, 4, 20, 20)] * 3, [None, None, (30, 30, 50, 50)], [None] * 3)
    clip = told(noise(3), hidden, [1, 2, 3], [True, True, False])
    truth = truth_for(Batch.collate([clip]))
    assert truth.seen.tolist() == [[True, False, False]]
    own = ClipCriterion(CONFIG, truth, torch.zeros(1, 3, WIDTH, 16, 16), seeded())
    assert int(own.count(LAYERS)) == LAYERS


def test_masks_may_have_another_size_than_the_pictures() -> None:
    """Truth as it lies on disk, pictures as the network wants them: points are told from 0 to 1."""
    clip = two_clips()[1]
    assert isinstance(clip.target, InstanceTarget)
    large = clip.target.masks.repeat_interleave(2, 2).repeat_interleave(2, 3)
    batch = Batch.collate([clip, told(noise(3, seed=1, size=(40, 56)), large, [2])])
    truth = truth_for(batch)
    points = uniform_points(1, 2000, seeded())
    rows = truth.rows[:, 0, 0]
    found = [truth.points.at(rows[b : b + 1], points * truth.of_masks[b]) for b in (0, 1)]
    assert (found[0] - found[1]).abs().mean() < 0.03
    assert float(found[0].mean()) == pytest.approx(17 * 45 / 64**2, abs=0.03)


def test_masks_are_counted_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes with 4, 0 and 2 masks divide by 2 each, and by 1 where there are none."""
    group = matching.distributed
    monkeypatch.setattr(group, "is_initialized", lambda: True)
    monkeypatch.setattr(group, "get_world_size", lambda: 3)
    monkeypatch.setattr(group, "all_reduce", lambda counts: counts.add_(torch.tensor([2.0, 0.0])))
    counts = torch.tensor([4, 0])
    assert over_workers(counts, together=True).tolist() == [2.0, 1.0]
    assert over_workers(counts, together=False).tolist() == [4.0, 1.0]
    assert counts.tolist() == [4, 0]


def test_truth_that_does_not_fit_is_refused_in_a_sentence() -> None:
    clip = two_clips()[1]
    with pytest.raises(ValueError, match="need an InstanceTarget for each of 1 clips, got none"):
        truth_for(Batch.collate([noise(3)]))
    assert isinstance(clip.target, InstanceTarget)
    beyond = replace(clip, target=replace(clip.target, classes=torch.tensor([4])))
    with pytest.raises(ValueError, match="classes 1 to 3"):
        truth_for(Batch.collate([beyond]))
