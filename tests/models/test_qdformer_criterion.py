"""The criterion of QDFormer against its definition written out, query by query and frame by frame."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avseg.losses.config import QueryConfig
from avseg.losses.matching import Matches
from avseg.models.qdformer.criterion import QueryCriterion, distillation, quantiser_terms
from avseg.models.qdformer.output import QueryPrediction
from avseg.models.qdformer.truth import QueryTruth, truth_of
from avseg.nn.quantizer import Coded
from avseg.types import Batch, Clip, DenseTarget
from models.small_qdformer import painted, relabelled, told_clip

SIZE, GRID, CLASSES, QUERIES = (64, 64), (16, 16), 3, 4
CONFIG = QueryConfig()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def said(clips: int, frames: int, seed: int = 1, classes: int = CLASSES, queries: int = QUERIES) -> QueryPrediction:
    g = seeded(seed)
    return QueryPrediction(
        torch.randn(clips, frames, queries, classes, generator=g),
        0.1 + 0.8 * torch.rand(clips, frames, queries, 4, generator=g),
        3 * torch.randn(clips, frames, queries, *GRID, generator=g),
    )


def two_clips() -> list[Clip]:
    """Two classes that come and go, a frame without labels and pixels that are not judged; then a shorter clip of one
    class."""
    first = painted(
        {1: (4, 8, 30, 40)},
        {1: (6, 8, 32, 40), 3: (40, 40, 60, 60), 255: (0, 0, 8, 64)},
        {2: (0, 0, 40, 40)},
        {3: (40, 36, 60, 56)},
    )
    second = painted({2: (3, 5, 20, 50)}, {}, {2: (9, 5, 33, 50)})
    return [told_clip(first, [True, True, False, True]), told_clip(second, seed=1)]


def truth_for(clips: list[Clip], classes: int | None = CLASSES) -> QueryTruth:
    return truth_of(Batch.collate(clips), SIZE, GRID, classes)


def terms_of(
    layers: list[QueryPrediction], truth: QueryTruth, config: QueryConfig = CONFIG
) -> tuple[dict[str, Tensor], list[Matches]]:
    criterion = QueryCriterion(config, truth)
    pairs = criterion.match(layers)
    return criterion.terms(layers, pairs, criterion.count().clamp(min=1)), pairs


# ---- the definitions, one number at a time


def sigmoid(x: Tensor) -> float:
    return 1 / (1 + math.exp(-x.item()))


def focal(x: Tensor, truth: bool, config: QueryConfig) -> float:
    miss = 1 - sigmoid(x) if truth else sigmoid(x)
    return -(config.alpha if truth else 1 - config.alpha) * math.pow(miss, config.gamma) * math.log(1 - miss)


def generalised_iou(a: list[float], b: list[float]) -> float:
    (al, at, ar, ab), (bl, bt, br, bb) = ((x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in (a, b))
    shared = max(min(ar, br) - max(al, bl), 0) * max(min(ab, bb) - max(at, bt), 0)
    union = (ar - al) * (ab - at) + (br - bl) * (bb - bt) - shared
    around = (max(ar, br) - min(al, bl)) * (max(ab, bb) - min(at, bt))
    return shared / union - (around - union) / around


def box_of(mask: Tensor) -> list[float]:
    rows, columns = (mask.any(dim).nonzero().flatten().tolist() for dim in (1, 0))
    top, bottom = rows[0] / len(mask), (rows[-1] + 1) / len(mask)
    left, right = columns[0] / mask.shape[1], (columns[-1] + 1) / mask.shape[1]
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


class Reference:
    """One clip."""

    def __init__(self, clip: Clip, config: QueryConfig) -> None:
        assert isinstance(clip.target, DenseTarget)
        self.config = config
        self.labels = clip.target.labels
        self.labelled = [t for t in range(len(self.labels)) if clip.target.annotated[t]]
        known = {label for t in self.labelled for label in self.labels[t].flatten().tolist()}
        self.targets = sorted(known - {0, 255})
        self.shown = {n: [t for t in self.labelled if (self.labels[t] == n).any()] for n in self.targets}

    def mask_terms(self, maps: Tensor, n: int) -> tuple[float, float]:
        """Focal mean and dice loss of (T, h, w) over the judged pixels of labelled frames."""
        total = both = size = 0.0
        count = 0
        for t, y, x in itertools.product(self.labelled, range(GRID[0]), range(GRID[1])):
            label = int(self.labels[t, 4 * y + 2, 4 * x + 2])
            if label != 255:
                p = sigmoid(maps[t, y, x])
                total += focal(maps[t, y, x], label == n, self.config)
                both += p * (label == n)
                size += p + (label == n)
                count += 1
        return total / count, 1 - (2 * both + 1) / (size + 1)

    def box_terms(self, boxes: Tensor, n: int) -> tuple[float, float]:
        """Sums over the frames that show the target of L1 distances and generalised overlaps of (T, 4)."""
        pairs = [(boxes[t].tolist(), box_of(self.labels[t] == n)) for t in self.shown[n]]
        distance = sum(abs(a - b) for own, wanted in pairs for a, b in zip(own, wanted, strict=True))
        return distance, sum(generalised_iou(own, wanted) for own, wanted in pairs)

    def cost(self, said: QueryPrediction, b: int, q: int, n: int) -> float:
        config, shown = self.config, self.shown[n]
        logits = [said.class_logits[b, t, q, n - 1] for t in shown]
        classes = sum(focal(x, True, config) - focal(x, False, config) for x in logits)
        distance, overlap = self.box_terms(said.boxes[b, :, q], n)
        mask, dice = self.mask_terms(said.mask_logits[b, :, q], n)
        boxes = (config.box_weight * distance - config.giou_weight * overlap) if config.boxes else 0.0
        of_frames = (config.class_weight * classes + boxes) / len(shown)
        return of_frames + config.mask_weight * mask + config.dice_weight * dice

    def pairs(self, said: QueryPrediction, b: int) -> dict[int, int]:
        """The query of each target, by trying all ways."""
        costs = {(q, n): self.cost(said, b, q, n) for q in range(QUERIES) for n in self.targets}
        ways = itertools.permutations(range(QUERIES), len(self.targets))
        way = min(ways, key=lambda way: sum(costs[q, n] for q, n in zip(way, self.targets, strict=True)))
        return dict(zip(self.targets, way, strict=True))

    def terms(self, said: QueryPrediction, b: int) -> dict[str, float]:
        """Not yet divided."""
        config, found = self.config, self.pairs(said, b)
        total = dict.fromkeys(("class", "box", "giou", "mask", "dice"), 0.0)
        for t, q, c in itertools.product(self.labelled, range(QUERIES), range(CLASSES)):
            positive = found.get(c + 1) == q and t in self.shown[c + 1]
            total["class"] += config.class_weight * focal(said.class_logits[b, t, q, c], positive, config)
        for n, q in found.items():
            distance, overlap = self.box_terms(said.boxes[b, :, q], n)
            mask, dice = self.mask_terms(said.mask_logits[b, :, q], n)
            total["box"] += config.box_weight * distance
            total["giou"] += config.giou_weight * (len(self.shown[n]) - overlap)
            total["mask"] += config.mask_weight * mask
            total["dice"] += config.dice_weight * dice
        return total


# ---- the criterion


@pytest.mark.parametrize(
    "config",
    [CONFIG, QueryConfig(1.0, 0.5, 3.0, 20.0, 1.0, alpha=0.6, gamma=1.0), replace(CONFIG, boxes=False, classes=False)],
)
def test_queries_lose_what_the_definition_says(config: QueryConfig) -> None:
    """Two clips of two lengths in two layers, each with a matching of its own."""
    clips = two_clips()
    layers = [said(2, 4, seed) for seed in (1, 2)]
    found, pairs = terms_of(layers, truth_for(clips), config)
    references = [Reference(clip, config) for clip in clips]
    count = sum(len(shown) for reference in references for shown in reference.shown.values())
    assert count == 2 + 2 + 2
    wanted = dict.fromkeys(("class", "box", "giou", "mask", "dice"), 0.0)
    for layer, own in zip(layers, pairs, strict=True):
        chosen = list(zip(own.group.tolist(), own.query.tolist(), own.instance.tolist(), strict=True))
        for b, reference in enumerate(references):
            assert {reference.targets[j]: q for g, q, j in chosen if g == b} == reference.pairs(layer, b)
            for name, term in reference.terms(layer, b).items():
                wanted[name] += term / count
    names = {"mask", "dice"} | ({"class"} if config.classes else set()) | ({"box", "giou"} if config.boxes else set())
    wanted = {name: term for name, term in wanted.items() if name in names}
    assert {name: float(term) for name, term in found.items()} == pytest.approx(wanted, rel=1e-4)


def test_a_single_target_gets_the_query_that_costs_least() -> None:
    clips = [told_clip(painted({1: (4, 8, 30, 40)}, {}), seed=seed) for seed in range(3)]
    criterion = QueryCriterion(CONFIG, truth_for(clips, classes=None))
    layers = [said(3, 2, seed, classes=1) for seed in range(4)]
    for layer, pairs in zip(layers, criterion.match(layers), strict=True):
        costs = criterion.costs(layer)  # (B, Q, 1)
        assert pairs.group.tolist() == [0, 1, 2] and pairs.instance.tolist() == [0, 0, 0]
        assert pairs.query.tolist() == costs[..., 0].argmin(1).tolist()


def test_of_more_targets_than_queries_those_stay_without_one_that_cost_most() -> None:
    labels = painted({1: (0, 0, 20, 20), 2: (20, 20, 40, 40), 3: (40, 40, 64, 64)})
    criterion = QueryCriterion(CONFIG, truth_for([told_clip(labels)]))
    for seed in range(3):
        layer = said(1, 1, seed, queries=2)
        costs = criterion.costs(layer)[0]
        (pairs,) = criterion.match([layer])
        ways = list(itertools.permutations(range(3), 2))  # the targets of the two queries
        best = min(ways, key=lambda way: float(costs[0, way[0]] + costs[1, way[1]]))
        assert dict(zip(pairs.query.tolist(), pairs.instance.tolist(), strict=True)) == dict(enumerate(best))
        assert all(torch.isfinite(term) for term in criterion.terms([layer], [pairs], criterion.count()).values())


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_frames_without_labels_change_no_loss_and_get_no_gradient(classes: int | None) -> None:
    """The second frame of S4, and what fills a clip up; what the network says there does not matter either."""
    labels = painted({1: (4, 8, 30, 40)}, {2: (0, 0, 40, 40)}, {1: (0, 0, 9, 9)})
    clip = told_clip(labels, [True, False, False])
    altered = labels.clone()
    altered[1:] = torch.randint(0, 4, (2, 64, 64), generator=seeded())
    layer = said(1, 5, classes=classes or 1)
    tensors = [layer.class_logits, layer.boxes, layer.mask_logits]
    for tensor in tensors:
        tensor.requires_grad_()
    wanted = None
    for own in (clip, relabelled(clip, altered)):
        truth = truth_of(Batch.collate([own], frames=5), SIZE, GRID, classes)
        found, _ = terms_of([layer], truth)
        values = {name: term.item() for name, term in found.items()}
        assert wanted is None or values == wanted
        wanted = values
        gradients = torch.autograd.grad(torch.stack(list(found.values())).sum(), tensors)
        assert all((gradient[:, 1:] == 0).all() and gradient[:, 0].abs().sum() > 0 for gradient in gradients)
    other = QueryPrediction(*(torch.cat([x[:, :1], torch.rand_like(x[:, 1:])], 1) for x in tensors))
    assert {name: term.item() for name, term in terms_of([other], truth)[0].items()} == wanted


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_clips_without_labelled_frames_lose_nothing(classes: int | None) -> None:
    clip = told_clip(painted({1: (4, 8, 30, 40)}, {}), [False, False])
    layer = said(1, 2, classes=classes or 1)
    tensors = [layer.class_logits.requires_grad_(), layer.boxes, layer.mask_logits]
    found, (pairs,) = terms_of([layer], truth_for([clip], classes))
    assert len(pairs) == 0 and {term.item() for term in found.values()} == {0.0}
    (gradient,) = torch.autograd.grad(torch.stack(list(found.values())).sum(), tensors[:1])
    assert (gradient == 0).all()


def test_a_silent_clip_teaches_silence() -> None:
    """All classes of all queries are negatives; binary tasks draw the likeliest query's mask to nothing as well."""
    silent = told_clip(painted({}, {}))
    for classes in (None, CLASSES):
        layer = said(1, 2, classes=classes or 1)
        found, (pairs,) = terms_of([layer], truth_for([silent], classes))
        wanted = sum(focal(x, False, CONFIG) for x in layer.class_logits.flatten())
        assert float(found["class"]) == pytest.approx(2 * wanted, rel=1e-4)
        assert float(found["box"]) == float(found["giou"]) == 0
        assert len(pairs) == (1 if classes is None else 0)
        assert (float(found["mask"]) > 0) == (float(found["dice"]) > 0) == (classes is None)


def test_what_is_said_of_pixels_of_label_255_does_not_matter() -> None:
    clips = two_clips()
    truth, layer = truth_for(clips), said(2, 4)
    hidden = ~truth.pixels[:, :, None].expand_as(layer.mask_logits)
    assert hidden[0, 1].any()
    other = replace(layer, mask_logits=torch.where(hidden, 9.0, layer.mask_logits))
    values = [{name: float(term) for name, term in terms_of([said], truth)[0].items()} for said in (layer, other)]
    assert values[0] == values[1]


def test_the_order_of_queries_changes_nothing() -> None:
    truth, layer, order = truth_for(two_clips()), said(2, 4), torch.tensor([2, 0, 3, 1])
    mixed = QueryPrediction(*(x[:, :, order] for x in (layer.class_logits, layer.boxes, layer.mask_logits)))
    first, second = (terms_of([said], truth)[0] for said in (layer, mixed))
    assert {k: float(v) for k, v in first.items()} == pytest.approx({k: float(v) for k, v in second.items()}, rel=1e-5)


def test_the_truth_itself_loses_next_to_nothing() -> None:
    clips = two_clips()
    truth = truth_for(clips)
    classes = torch.full((2, 4, QUERIES, CLASSES), -20.0)
    boxes, masks = torch.full((2, 4, QUERIES, 4), 0.5), torch.full((2, 4, QUERIES, *GRID), -40.0)
    for b, j in truth.present.nonzero().tolist():
        q = QUERIES - 1 - j
        classes[b, :, q, truth.classes[b, j]] = torch.where(truth.shown[b, j], 20.0, -20.0)
        boxes[b, :, q] = truth.boxes[b, j]
        masks[b, :, q] = torch.where(truth.masks[b, j], 40.0, -40.0)
    found, _ = terms_of([QueryPrediction(classes, boxes, masks)], truth)
    assert all(abs(float(term)) < 1e-5 for term in found.values())
    wrong, _ = terms_of([QueryPrediction(-classes, 1 - boxes, -masks)], truth)
    assert all(float(term) > 0.5 for term in wrong.values())


@pytest.mark.parametrize("name", ["class", "box", "giou", "mask", "dice"])
def test_a_weight_multiplies_its_term(name: str) -> None:
    truth, layer = truth_for(two_clips()), said(2, 4)
    criterion = QueryCriterion(CONFIG, truth)
    pairs = criterion.match([layer])
    tripled = replace(CONFIG, **{f"{name}_weight": 3 * getattr(CONFIG, f"{name}_weight")})
    first = criterion.terms([layer], pairs, criterion.count())
    second = QueryCriterion(tripled, truth).terms([layer], pairs, criterion.count())
    ratios = {term: float(second[term] / first[term]) for term in first}
    assert ratios == pytest.approx({term: 3.0 if term == name else 1.0 for term in first}, rel=1e-5)
    # The same weight counts in the matching.
    assert not torch.equal(criterion.costs(layer), QueryCriterion(tripled, truth).costs(layer))


def test_box_terms_can_be_left_out_of_matching_and_class_terms_of_the_loss_alone() -> None:
    truth, layer = truth_for(two_clips()), said(2, 4)
    whole = QueryCriterion(CONFIG, truth).costs(layer)
    assert torch.equal(QueryCriterion(replace(CONFIG, classes=False), truth).costs(layer), whole)
    without = QueryCriterion(replace(CONFIG, boxes=False), truth).costs(layer)
    zero = QueryCriterion(replace(CONFIG, box_weight=0.0, giou_weight=0.0), truth).costs(layer)
    assert torch.allclose(without, zero) and not torch.allclose(without, whole)


def test_negative_weights_and_shares_beyond_one_are_refused() -> None:
    with pytest.raises(ValueError, match="giou_weight -1"):
        QueryConfig(giou_weight=-1)
    with pytest.raises(ValueError, match="alpha 2"):
        QueryConfig(alpha=2)


# ---- tokens


def coded(*shape: int, seed: int, codebook: bool = False, commitment: bool = False) -> Coded:
    g = seeded(seed)
    raw, tokens = (torch.randn(*shape, generator=g).requires_grad_() for _ in range(2))
    return Coded(
        raw,
        tokens,
        codebook_loss=torch.tensor(3.0) if codebook else None,
        commitment_loss=torch.tensor(0.5 * seed) if commitment else None,
    )


def test_quantisation_is_paid_for_once_and_by_clips_and_frames() -> None:
    whole, part = coded(2, 5, 8, seed=1, codebook=True, commitment=True), coded(2, 3, 5, 8, seed=4, commitment=True)
    values = {name: float(term) for name, term in quantiser_terms(whole, part, 0.5).items()}
    assert values == {"codebook": 1.5, "commitment": 0.5 * (0.5 + 2.0)}
    assert {n: float(v) for n, v in quantiser_terms(whole, None, 1.0).items()} == {"codebook": 3.0, "commitment": 0.5}
    averaged = coded(2, 5, 8, seed=1, commitment=True)  # moving averages: nothing to learn by gradient
    assert set(quantiser_terms(averaged, None, 1.0)) == {"commitment"}
    assert quantiser_terms(coded(2, 5, 8, seed=1), coded(2, 3, 5, 8, seed=2), 1.0) == {}


def test_distillation_draws_the_tokens_of_frames_that_sound_to_those_of_the_clip() -> None:
    clips = two_clips()
    truth = truth_for(clips)
    whole, part = coded(2, 5, 8, seed=1), coded(2, 4, 5, 8, seed=2)
    loss = distillation(whole, part, truth)
    sounding = {(0, 0), (0, 1), (0, 3), (1, 0), (1, 2)}
    labelled = sounding | {(1, 1)}
    terms = [float((part.raw[b, t] - whole.tokens[b]).square().mean()) for b, t in sounding]
    assert float(loss) == pytest.approx(sum(terms) / len(labelled), rel=1e-5)
    torch.autograd.backward(loss)
    of_frames = part.raw.grad
    assert of_frames is not None and whole.tokens.grad is None  # the clip teaches
    assert {tuple(place) for place in of_frames.abs().sum((2, 3)).nonzero().tolist()} == sounding
    silent = truth_for([told_clip(painted({}, {})), told_clip(painted({}, {}), [False, False])])
    assert float(distillation(whole, coded(2, 2, 5, 8, seed=2), silent)) == 0
