"""Masks of generated weights against the direct form: one input for each query, three convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.nn.dynamic_masks import dynamic_masks, parameter_count

WIDTH, INNER = 6, 4


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def direct(features: Tensor, parameters: Tensor, places: Tensor, unit: float = 1.0) -> Tensor:
    """Query by query, from the definition: the map, then x and y of the query less those of each pixel's centre."""
    height, width = features.shape[2:]
    out = features.new_zeros(len(features), parameters.shape[1], height, width)
    x = 4 * torch.arange(width).double()[None].expand(height, -1) + 2
    y = 4 * torch.arange(height).double()[:, None].expand(-1, width) + 2
    for n in range(len(features)):
        for q in range(parameters.shape[1]):
            numbers = list(parameters[n, q])
            weights, biases = [], []
            for shape in ((INNER, WIDTH + 2), (INNER, INNER), (1, INNER)):
                count = shape[0] * shape[1]
                weights.append(torch.stack(numbers[:count]).reshape(*shape, 1, 1))
                del numbers[:count]
            for count in (INNER, INNER, 1):
                biases.append(torch.stack(numbers[:count]))
                del numbers[:count]
            assert not numbers
            right, down = places[n, q] * torch.tensor([4.0 * width, 4.0 * height])
            input_ = torch.cat([features[n], torch.stack([right - x, down - y]) / unit])[None]
            hidden = F.conv2d(input_, weights[0], biases[0]).clamp(min=0)
            hidden = F.conv2d(hidden, weights[1], biases[1]).clamp(min=0)
            out[n, q] = F.conv2d(hidden, weights[2], biases[2])[0, 0]
    return out


def inputs(height: int = 5, width: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    features = drawn(2, WIDTH, height, width)
    parameters = drawn(2, 3, parameter_count(WIDTH, INNER), seed=1)
    return features, parameters, torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_the_published_head_has_2153_parameters() -> None:
    assert parameter_count(256) == 2153


@pytest.mark.parametrize("unit", [1.0, 64.0])
def test_equals_the_direct_form(unit: float) -> None:
    features, parameters, places = inputs()
    ours = dynamic_masks(features, parameters, places, inner=INNER, unit=unit)
    assert ours.shape == (2, 3, 5, 7)
    assert torch.allclose(ours, direct(features, parameters, places, unit), atol=1e-10)


def test_gradients_equal_those_of_the_direct_form() -> None:
    gradients = []
    for way in (lambda f, p, at: dynamic_masks(f, p, at, inner=INNER), direct):
        leaves = [x.requires_grad_() for x in inputs()]
        way(*leaves).square().sum().backward()
        gradients.append([x.grad for x in leaves])
    for ours, wanted in zip(*gradients, strict=True):
        assert wanted.abs().sum() > 0
        assert torch.allclose(ours, wanted, rtol=1e-9, atol=1e-8)


def test_pictures_that_no_map_fits_give_their_size() -> None:
    features, parameters, places = inputs()
    scale = torch.tensor([28 / 26, 20 / 19], dtype=torch.float64)
    narrow = dynamic_masks(features, parameters, places * scale, inner=INNER, size=(19, 26))
    assert torch.allclose(narrow, dynamic_masks(features, parameters, places, inner=INNER), atol=1e-9)


def test_places_count_in_single_precision_under_autocast() -> None:
    """A query that draws the sign of how far a pixel is to its left: bfloat16 knows 224 pixels to the nearest one."""
    features = torch.zeros(1, WIDTH, 1, 56)
    parameters = torch.zeros(1, 1, parameter_count(WIDTH, INNER))
    weights = parameters[0, 0, : INNER * (WIDTH + 2)].reshape(INNER, WIDTH + 2)
    weights[0, WIDTH], weights[1, WIDTH] = 1, -1
    second = parameters[0, 0, INNER * (WIDTH + 2) :]
    second[0], second[INNER + 1] = 1, 1
    third = second[INNER * INNER :]
    third[0], third[1] = 1, -1
    places = torch.tensor([[[0.9967, 0.5]]])
    with torch.autocast("cpu", torch.bfloat16):
        ours = dynamic_masks(features, parameters, places, inner=INNER)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours[0, 0, 0], 0.9967 * 224 - (4 * torch.arange(56.0) + 2), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_near_and_has_gradients(dtype: torch.dtype) -> None:
    features, parameters, places = inputs()
    leaves = [features.to(dtype).requires_grad_(), parameters.to(dtype).requires_grad_()]
    ours = dynamic_masks(*leaves, places.float(), inner=INNER)
    wanted = dynamic_masks(leaves[0].double(), leaves[1].double(), places, inner=INNER)
    assert ours.dtype == torch.float32
    assert (ours - wanted).abs().max() < 0.02 * wanted.abs().max()
    ours.mean().backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in leaves)


def test_another_number_of_parameters_is_refused() -> None:
    features, parameters, places = inputs()
    with pytest.raises(ValueError, match="61 parameters for a mask head on 6 channels with 8 inner ones, wanted 153"):
        dynamic_masks(features, parameters, places)
