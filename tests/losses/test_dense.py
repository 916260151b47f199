"""Segmentation losses: what counts, what does not, and what is refused."""

from __future__ import annotations

import pytest
import torch

from avseg.losses import binary_loss, semantic_loss, sounding_loss, squared_dice_loss
from avseg.losses.dense import at_least_float32

GENERATOR = torch.Generator().manual_seed(0)


def _binary() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    labels = torch.randint(0, 2, (2, 3, 8, 8), generator=GENERATOR)
    annotated = torch.tensor([[True, False, False], [True, True, False]])
    return torch.randn(2, 3, 1, 8, 8, generator=GENERATOR, requires_grad=True), labels, annotated


def _semantic() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    _, _, annotated = _binary()
    labels = torch.randint(0, 5, (2, 3, 8, 8), generator=GENERATOR)
    return torch.randn(2, 3, 5, 8, 8, generator=GENERATOR, requires_grad=True), labels, annotated


def _dice(logits: torch.Tensor, labels: torch.Tensor, annotated: torch.Tensor) -> torch.Tensor:
    return squared_dice_loss(at_least_float32(logits).sigmoid(), labels, annotated)


CASES = pytest.mark.parametrize(
    ("loss", "make"), [(binary_loss, _binary), (semantic_loss, _semantic), (_dice, _binary)]
)


@CASES
def test_labels_of_frames_that_are_not_annotated_change_nothing(loss, make) -> None:
    logits, labels, annotated = make()
    garbled = torch.where(annotated[..., None, None], labels, torch.randint(0, 200, labels.shape, generator=GENERATOR))
    assert not torch.equal(garbled, labels)
    assert torch.equal(loss(logits, garbled, annotated), loss(logits, labels, annotated))
    (gradient,) = torch.autograd.grad(loss(logits, garbled, annotated), logits)
    assert not gradient[~annotated].any()


@CASES
def test_ignored_pixels_change_nothing(loss, make) -> None:
    logits, labels, annotated = make()
    labels[:, :, :4] = 255
    changed = logits.detach().clone()
    changed[..., :4, :] += 5
    assert torch.equal(loss(changed, labels, annotated), loss(logits, labels, annotated))


@CASES
def test_nothing_annotated_is_zero_with_a_gradient(loss, make) -> None:
    logits, labels, annotated = make()
    value = loss(logits, labels, torch.zeros_like(annotated))
    value.backward()
    assert float(value.detach()) == 0
    assert not logits.grad.any()
    everything_ignored = loss(logits, torch.full_like(labels, 255), annotated)
    assert float(everything_ignored.detach()) == 0


@CASES
def test_half_precision_is_judged_in_float32_and_float64_stays(loss, make) -> None:
    logits, labels, annotated = make()
    wanted = loss(logits.bfloat16().float(), labels, annotated)
    assert torch.equal(loss(logits.bfloat16(), labels, annotated), wanted)
    assert wanted.dtype == torch.float32
    assert loss(logits.double(), labels, annotated).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(logits.bfloat16(), labels, annotated), wanted)


@CASES
def test_sizes_that_do_not_fit_are_refused(loss, make) -> None:
    logits, labels, annotated = make()
    with pytest.raises(ValueError, match="bring both to one size"):
        loss(logits, labels[..., :4], annotated)
    with pytest.raises(ValueError, match="bring both to one size"):
        loss(logits, labels, annotated[:, :2])
    with pytest.raises(ValueError, match="wanted"):
        loss(logits.flatten(0, 1), labels, annotated)


def test_probability_space_has_the_published_dead_end() -> None:
    logits = torch.full((1, 1, 1, 1, 1), 200.0, requires_grad=True)
    labels, annotated = torch.zeros(1, 1, 1, 1, dtype=torch.int64), torch.ones(1, 1, dtype=torch.bool)
    published = binary_loss(logits, labels, annotated, "probability")
    assert float(published.detach()) == 100
    assert not torch.autograd.grad(published, logits)[0].any()
    ours = binary_loss(logits, labels, annotated)
    assert float(ours.detach()) == 200
    assert torch.autograd.grad(ours, logits)[0].all()


def test_float_labels_are_taken_as_they_are() -> None:
    logits, annotated = torch.zeros(1, 1, 1, 2, 2), torch.ones(1, 1, dtype=torch.bool)
    logits[..., 0] = 2.0
    quarter = torch.full((1, 1, 2, 2), 0.25)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, :, 0], quarter)
    assert torch.allclose(binary_loss(logits, quarter, annotated), wanted)


def test_the_foreground_weight_multiplies_foreground_pixels_alone() -> None:
    logits, labels, annotated = _semantic()
    plain, double, triple = (float(semantic_loss(logits, labels, annotated, w).detach()) for w in (1.0, 2.0, 3.0))
    foreground = torch.where(labels > 0, labels, 255)
    share = (foreground[annotated] != 255).flatten(1).float().mean(1)  # (M,)
    alone = torch.stack(
        [
            semantic_loss(
                logits[annotated][m][None, None], foreground[annotated][m][None, None], annotated[:1, :1] | True
            )
            for m in range(len(share))
        ]
    )
    assert plain == pytest.approx(float(semantic_loss(logits, labels, annotated).detach()))
    assert double - plain == pytest.approx(float((alone * share).mean().detach()), rel=1e-5)
    assert triple - double == pytest.approx(double - plain, rel=1e-5)


def test_wrong_channels_labels_and_spaces_are_refused() -> None:
    logits, labels, annotated = _semantic()
    with pytest.raises(ValueError, match="use semantic_loss"):
        binary_loss(logits, labels, annotated)
    with pytest.raises(ValueError, match="label 7 for 5 channels"):
        semantic_loss(logits, labels.clamp(min=1) * 0 + 7, annotated)
    with pytest.raises(ValueError, match="'log' space"):
        binary_loss(logits[:, :, :1], labels, annotated, "log")


def test_sounding_loss_counts_the_given_frames_alone() -> None:
    logits = torch.tensor([[[0.0, 0.0], [9.0, 9.0]]], requires_grad=True)
    sounding = torch.tensor([[[True, False], [False, False]]])
    frames = torch.tensor([[True, False]])
    assert float(sounding_loss(logits, sounding, frames).detach()) == pytest.approx(0.693147, abs=1e-6)
    assert float(sounding_loss(logits, sounding, torch.zeros_like(frames)).detach()) == 0
    with pytest.raises(ValueError, match=r"wanted \(B, T, K\) twice"):
        sounding_loss(logits, sounding[..., :1], frames)


def test_squared_dice_is_its_formula_and_smoothing_teaches_of_empty_truth() -> None:
    p = torch.tensor([0.2, 0.9, 0.5, 0.7]).view(1, 1, 1, 2, 2).requires_grad_()
    labels, annotated = torch.tensor([0, 3, 1, 255]).view(1, 1, 2, 2), torch.tensor([[True]])
    wanted = 1 - 2 * 1.4 / (0.04 + 0.81 + 0.25 + 2 + 0.002)
    assert float(squared_dice_loss(p, labels, annotated)) == pytest.approx(wanted)
    for smooth, learns in ((0.0, False), (1.0, True)):
        term = squared_dice_loss(p, labels * 0, annotated, smooth)
        (gradient,) = torch.autograd.grad(term, p)
        assert bool(gradient.any()) == learns and (learns or float(term) == 1.0)
    with pytest.raises(ValueError, match="squared Dice got 2 channels"):
        squared_dice_loss(torch.rand(1, 1, 2, 2, 2), labels, annotated)
