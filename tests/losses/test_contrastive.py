"""The contrastive term against the published figures and against a slow, literal transcription of its definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses import ContrastConfig, contrastive, contrastive_loss, info_nce, pixel_loss
from avseg.losses.contrastive import on_grid, sample_pixels
from golden_arrays import arr

FILE = "cavp/losses.json"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs_of(golden: Any, case: str) -> tuple[dict[str, Tensor], Any]:
    record = golden(FILE)[case]
    return {name: torch.from_numpy(arr(**recipe)) for name, recipe in record["inputs"].items()}, record


def norm(gradient: Tensor | None) -> float:
    assert gradient is not None
    return float(gradient.double().norm())


# ---- the published figures


def test_info_nce_is_the_published_one(golden: Any) -> None:
    inputs, wanted = inputs_of(golden, "cavp/info_nce")
    anchors = F.normalize(inputs["anchors"], dim=1).requires_grad_()
    loss = info_nce(anchors, inputs["labels"][:, 0], 0.1)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(wanted["value"], rel=1e-6)
    assert norm(anchors.grad) == pytest.approx(wanted["grad_l2"]["anchors"], rel=1e-5)


def test_the_whole_term_is_the_published_one_whatever_is_drawn(golden: Any) -> None:
    """64 pixels of foreground, of background and beside given sounds: with 64 views all are taken."""
    inputs, wanted = inputs_of(golden, "cavp/contrast/permutation_invariant")
    matched, shuffled = inputs["match"].requires_grad_(), inputs["shuffle"].requires_grad_()
    labels = torch.zeros(2, 32, 32, dtype=torch.int64)
    labels[:, :16] = 3
    given = labels.clone()
    given[0] = 0
    loss = contrastive_loss(matched, shuffled, labels, given, ContrastConfig(views=64), seeded())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(wanted["value"], rel=1e-6)
    assert norm(matched.grad) == pytest.approx(wanted["grad_l2"]["match"], rel=1e-5)
    assert norm(shuffled.grad) == pytest.approx(wanted["grad_l2"]["shuffle"], rel=1e-5)


@pytest.mark.parametrize("case", ["cavp/contrast/no_foreground", "cavp/contrast/whole/max_views=64"])
def test_without_a_class_of_enough_pixels_it_is_zero(golden: Any, case: str) -> None:
    inputs, wanted = inputs_of(golden, case)
    matched, shuffled = inputs["match"].requires_grad_(), inputs["shuffle"].requires_grad_()
    labels = torch.zeros(2, 32, 32, dtype=torch.int64)
    if "whole" in case:  # each class has 32 of 64 pixels
        labels[0, :16], labels[1, :16] = 3, 7
    given = labels.clone()
    given[0] = 0
    loss = contrastive_loss(matched, shuffled, labels, given, ContrastConfig(views=64), seeded())
    loss.backward()
    assert [float(loss.detach())] == wanted["value"]
    assert norm(matched.grad) == norm(shuffled.grad) == 0


@pytest.mark.parametrize(("case", "ignored"), [("cavp/ce", 0), ("cavp/ce_ignore_rows_0_8", 8)])
def test_cross_entropy_is_the_published_one(golden: Any, case: str, ignored: int) -> None:
    inputs, wanted = inputs_of(golden, case)
    logits, labels = inputs["pred"].double().requires_grad_(), inputs["label"].clone()
    labels[:, :ignored] = 255
    loss = pixel_loss(logits, labels)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(wanted["value"], rel=1e-6)
    assert norm(logits.grad) == pytest.approx(wanted["grad_l2"]["pred"], rel=1e-6)


# ---- info_nce


def literal_info_nce(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The definition, pair by pair."""
    anchors = []
    for i in range(len(z)):
        s = (z[i] @ z.T) / temperature
        negatives = [s[j].exp() for j in range(len(z)) if labels[j] != labels[i]]
        mass = torch.stack(negatives).sum() if negatives else s.new_zeros(())
        positives = [j for j in range(len(z)) if labels[j] == labels[i] and j != i]
        terms = [s[j] - torch.log(s[j].exp() + mass) for j in positives]
        anchors.append(sum(terms, s.new_zeros(())) / (len(positives) + 1e-12))
    return -torch.stack(anchors).mean()


def random_embeddings(count: int, width: int = 6, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(count, width, generator=seeded(seed), dtype=torch.float64), dim=1)


@pytest.mark.parametrize("rows", [1024, 3])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_info_nce_is_its_definition(monkeypatch: pytest.MonkeyPatch, rows: int, temperature: float) -> None:
    """Several blocks of anchors in a class, one class of a single pixel."""
    monkeypatch.setattr(contrastive, "_ROWS", rows)
    labels = torch.tensor([4, 0, 0, 4, 4, 9, 0, 4, 4, 2, 2, 4, 4, 4, 0, 0])
    ours, literal = (random_embeddings(len(labels)).requires_grad_() for _ in range(2))
    a, b = info_nce(ours, labels, temperature), literal_info_nce(literal, labels, temperature)
    a.backward()
    b.backward()
    assert a.dtype == torch.float64
    assert float(a.detach()) == pytest.approx(float(b.detach()), rel=1e-12)
    torch.testing.assert_close(ours.grad, literal.grad, rtol=1e-9, atol=1e-12)


def test_the_gradient_passes_through_a_scale_and_the_embeddings() -> None:
    labels = torch.tensor([1, 1, 0, 0, 2, 2])
    inputs = torch.randn(6, 4, generator=seeded(), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: 3 * info_nce(F.normalize(z, dim=1), labels, 0.5), (inputs,))


@pytest.mark.parametrize("labels", [[], [3, 3, 3], [1, 2, 3]])
def test_one_class_or_no_pairs_is_zero(labels: list[int]) -> None:
    z = random_embeddings(len(labels)).requires_grad_()
    loss = info_nce(z, torch.tensor(labels, dtype=torch.int64), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0 and z.grad is not None and not z.grad.any()


def test_a_low_temperature_neither_overflows_nor_rounds_to_a_logarithm_of_zero() -> None:
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]], requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    loss = info_nce(z, labels, 0.002)  # similarities of +-500, beyond the range of exp
    loss.backward()
    with torch.no_grad():
        exact = literal_info_nce(z.double(), labels, 0.002)
    assert math.isfinite(float(loss.detach())) and bool(torch.isfinite(z.grad).all())  # type: ignore[arg-type]
    assert float(loss.detach()) == pytest.approx(float(exact), rel=1e-6)


def test_half_precision_is_compared_in_float32() -> None:
    z, labels = random_embeddings(20).to(torch.bfloat16), torch.arange(20) % 3
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(info_nce(z, labels, 0.1), info_nce(z.float(), labels, 0.1))


# ---- which pixels


def literal_sample(labels: Tensor, given: Tensor, views: int, generator: torch.Generator) -> list[tuple[str, int, int]]:
    """(half, place, label) of every chosen pixel, in the words of the definition, one pixel after the other."""
    foreground = [p for p, label in enumerate(labels.tolist()) if label not in (0, 255)]
    background = [p for p, label in enumerate(labels.tolist()) if label == 0]
    if len(foreground) < views:
        return []
    shuffle = torch.randperm(len(foreground), generator=generator).tolist()
    chosen: list[tuple[str, int, int]] = []
    for c in sorted({int(labels[p]) for p in foreground}):
        of_class = [foreground[i] for i in shuffle if labels[foreground[i]] == c]
        if len(of_class) >= views:
            chosen += [("matched", p, c) for p in of_class[:views]]
    if not chosen:
        return []
    k = min(views, len(foreground), len(background))
    silent = torch.randperm(len(background), generator=generator).tolist()[:k]
    beside = torch.randperm(len(foreground), generator=generator).tolist()[:k]
    chosen += [("matched", background[i], 0) for i in silent]
    chosen += [("shuffled", foreground[i], int(given[foreground[i]])) for i in beside]
    return chosen


def chosen_by_us(labels: Tensor, given: Tensor, views: int, generator: torch.Generator) -> list[tuple[str, int, int]]:
    own, other = sample_pixels(labels, given, ContrastConfig(views=views), generator)
    matched = [("matched", p, int(labels[p])) for p in own.tolist()]
    return matched + [("shuffled", p, int(given[p])) for p in other.tolist()]


def scene(case: str, side: int = 24) -> tuple[Tensor, Tensor]:
    """(3, side, side) labels, and those beside the given sounds."""
    labels = torch.zeros(3, side, side, dtype=torch.int64)
    labels[0, :10, :10] = 5
    labels[1, 4:, 12:] = 2
    labels[2, :6] = 5
    labels[2, 8:11, :4] = 7  # twelve pixels: too few
    labels[:, -1] = 255
    if case == "no foreground":
        labels[labels != 255] = 0
    if case == "too few of every class":
        labels[(labels > 0) & (labels != 255)] = torch.arange(1, 100).repeat(10)[: int(((labels % 255) > 0).sum())]
    if case == "hardly any background":
        labels[labels == 0] = 2
        labels[0, 0, :3] = 0
    matches = torch.tensor([case == "all matched", case not in ("all mismatched", "mixed"), case != "all mismatched"])
    return labels, torch.where(matches[:, None, None], labels, 0)


CASES = [
    "mixed",
    "all matched",
    "all mismatched",
    "no foreground",
    "too few of every class",
    "hardly any background",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("views", [16, 100, 230])
def test_pixels_are_those_of_the_literal_sampler(case: str, views: int) -> None:
    labels, given = (t.flatten() for t in scene(case))
    ours, literal = chosen_by_us(labels, given, views, seeded(7)), literal_sample(labels, given, views, seeded(7))
    assert ours == literal
    assert len(set(ours)) == len(ours)
    if case == "mixed":
        assert {c for half, _, c in ours if half == "matched"} == {0, 2, 5} - ({2} if views == 230 else set())


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_are_those_of_the_literal_term(case: str) -> None:
    labels, given = scene(case, side=12)
    config = ContrastConfig(views=20, weight=0.7)
    halves = [torch.randn(3, 5, 12, 12, generator=seeded(3), dtype=torch.float64) for _ in range(2)]
    ours, slow = ([h.clone().requires_grad_() for h in halves] for _ in range(2))
    loss = contrastive_loss(*ours, labels, given, config, seeded(1))
    loss.backward()
    chosen = literal_sample(labels.flatten(), given.flatten(), 20, seeded(1))
    if not chosen:
        assert float(loss.detach()) == 0 and not any(bool(t.grad.any()) for t in ours if t.grad is not None)
        return
    flat = {name: t.movedim(1, -1).flatten(0, 2) for name, t in zip(("matched", "shuffled"), slow, strict=True)}
    z = F.normalize(torch.stack([flat[half][place] for half, place, _ in chosen]), dim=1)
    wanted = 0.7 * literal_info_nce(z, torch.tensor([c for _, _, c in chosen]), 0.1)
    wanted.backward()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-10)
    for a, b in zip(ours, slow, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-12)


def test_a_class_under_512_pixels_is_left_out_and_one_of_512_is_not() -> None:
    labels = torch.zeros(1, 48, 48, dtype=torch.int64)
    labels.view(-1)[:511], labels.view(-1)[600:1112] = 1, 2
    own, other = sample_pixels(labels.flatten(), labels.flatten(), ContrastConfig(), seeded())
    kinds = labels.flatten()[own].bincount(minlength=3).tolist()
    assert kinds == [512, 0, 512]
    assert len(other) == 512 and set(labels.flatten()[other].tolist()) == {1, 2}  # those of R may be of either


def test_a_limit_keeps_so_many_of_the_chosen() -> None:
    labels, given = (t.flatten() for t in scene("mixed"))
    whole = set(literal_sample(labels, given, 100, seeded(2)))
    own, other = sample_pixels(labels, given, ContrastConfig(views=100, limit=90), seeded(2))
    assert len(own) + len(other) == 90
    kept = {("matched", p, int(labels[p])) for p in own.tolist()} | {
        ("shuffled", p, int(given[p])) for p in other.tolist()
    }
    assert len(kept) == 90 and kept < whole
    free = sample_pixels(labels, given, ContrastConfig(views=100, limit=len(whole)), seeded(2))
    assert sum(map(len, free)) == len(whole)


def test_a_generator_makes_a_step_reproducible() -> None:
    labels, given = scene("mixed")
    embeddings = torch.randn(2, 3, 4, 24, 24, generator=seeded())
    values = [
        float(contrastive_loss(embeddings[0], embeddings[1], labels, given, ContrastConfig(views=50), seeded(seed)))
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_labels_come_to_the_grid_by_the_nearest_pixel() -> None:
    labels = torch.randint(0, 256, (2, 64, 96), generator=seeded())
    for size in ((16, 24), (64, 96), (20, 30), (7, 11)):
        wanted = F.interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].long()
        assert torch.equal(on_grid(labels, size), wanted)


def test_shapes_that_do_not_fit_are_refused() -> None:
    z, labels = torch.randn(2, 3, 4, 4), torch.zeros(2, 8, 8, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"wanted \(B, D, h, w\) twice"):
        contrastive_loss(z, z[:1], labels, labels, ContrastConfig())
    with pytest.raises(ValueError, match="for 2 pictures"):
        contrastive_loss(z, z, labels[:1], labels[:1], ContrastConfig())
    with pytest.raises(ValueError, match=r"wanted \(S, D\) and \(S,\)"):
        info_nce(torch.randn(3, 2), torch.zeros(2), 0.1)
    with pytest.raises(ValueError, match=r"wanted \(N, C, H, W\) and \(N, H, W\)"):
        pixel_loss(z, labels)
    with pytest.raises(ValueError, match="label 9 for 3 channels"):
        pixel_loss(z, torch.full((2, 4, 4), 9))


def test_foreground_of_the_pixel_loss_may_weigh_more() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=seeded())
    labels = torch.randint(0, 3, (2, 4, 4), generator=seeded(1))
    labels[0, 0] = 255
    pixels = F.cross_entropy(logits, labels, ignore_index=255, reduction="none")
    wanted = (pixels[labels == 0].sum() + 4 * pixels[(labels > 0) & (labels < 255)].sum()) / (labels < 255).sum()
    torch.testing.assert_close(pixel_loss(logits, labels, 4.0), wanted)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_pixel_loss_is_the_same_of_either_layout(weight: float) -> None:
    maps = torch.randn(2, 3, 4, 5, generator=seeded())
    labels = torch.randint(0, 3, (2, 4, 5), generator=seeded(1))
    labels[0, 0] = 255
    values, gradients = [], []
    for layout in (torch.contiguous_format, torch.channels_last):
        logits = maps.clone(memory_format=layout).requires_grad_()
        value = pixel_loss(logits, labels, weight)
        value.backward()
        assert logits.grad is not None
        values.append(value.detach())
        gradients.append(logits.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


def test_pixel_loss_is_one_mean_over_all_pictures() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=seeded(), requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4), generator=seeded(1))
    labels[1, :3] = 255
    pixels = F.cross_entropy(logits.detach(), labels, ignore_index=255, reduction="none")
    assert float(pixel_loss(logits, labels).detach()) == pytest.approx(float(pixels.sum() / 20), rel=1e-6)
    nothing = pixel_loss(logits, torch.full_like(labels, 255))
    nothing.backward()
    assert float(nothing.detach()) == 0 and logits.grad is not None and not logits.grad.any()
    assert float(pixel_loss(logits[:0], labels[:0]).detach()) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bank": "full"}, "bank 'full'"),
        ({"weight": -1.0}, "contrast=None"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"overwrite": 1.5}, "overwrite 1.5"),
        ({"views": 0}, "views 0"),
        ({"slots": 0}, "slots 0"),
        ({"limit": 1}, "limit 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContrastConfig(**options)
