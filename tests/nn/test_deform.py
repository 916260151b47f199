"""Deformable attention against one that walks through queries, heads and points."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from avseg.nn.deform import DeformableAttention, Size, centres, sample_maps

SIZES: list[Size] = [(2, 3), (5, 4), (1, 7)]
TOKENS = sum(h * w for h, w in SIZES)


def pixel(values: Tensor, size: Size, row: int, column: int) -> Tensor:
    """values (H * W, d); zeros off the map."""
    inside = 0 <= row < size[0] and 0 <= column < size[1]
    return values[row * size[1] + column] if inside else torch.zeros_like(values[0])


def bilinear(values: Tensor, size: Size, x: float, y: float) -> Tensor:
    """At (x, y) as shares of width and height; a pixel's value is that of its centre."""
    column, row = x * size[1] - 0.5, y * size[0] - 0.5
    left, top = math.floor(column), math.floor(row)
    right, down = column - left, row - top
    return (
        (1 - right) * (1 - down) * pixel(values, size, top, left)
        + right * (1 - down) * pixel(values, size, top, left + 1)
        + (1 - right) * down * pixel(values, size, top + 1, left)
        + right * down * pixel(values, size, top + 1, left + 1)
    )


def literal(module: DeformableAttention, queries: Tensor, places: Tensor, tokens: Tensor, sizes: list[Size]) -> Tensor:
    """One query of one picture at a time, straight from the definition."""
    heads, levels, points = module.heads, module.levels, module.points
    starts = [sum(h * w for h, w in sizes[:level]) for level in range(levels)]
    out = torch.zeros_like(queries)
    for n, (query_rows, token_rows) in enumerate(zip(queries, tokens, strict=True)):
        values = token_rows @ module.value_proj.weight.T + module.value_proj.bias
        for q, query in enumerate(query_rows):
            offsets = module.sampling_offsets(query).reshape(heads, levels, points, 2)
            weights = module.attention_weights(query).reshape(heads, levels * points).softmax(-1)
            found = []
            for head, own in enumerate(values.chunk(heads, -1)):
                total = torch.zeros_like(own[0])
                for level, (height, width) in enumerate(sizes):
                    rows = own[starts[level] : starts[level] + height * width]
                    for point in range(points):
                        dx, dy = offsets[head, level, point].tolist()
                        across, along = (1 / width, 1 / height) if places.shape[-1] == 2 else places[q, 2:] / 2 / points
                        x, y = float(places[q, 0] + dx * across), float(places[q, 1] + dy * along)
                        weight = weights[head, level * points + point]
                        total = total + weight * bilinear(rows, (height, width), x, y)
                found.append(total)
            out[n, q] = module.output_proj(torch.cat(found))
    return out


def attention(scale: float = 0.5, points: int = 3) -> DeformableAttention:
    module = DeformableAttention(16, heads=4, levels=len(SIZES), points=points)
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=scale, generator=generator)
    return module


def tokens(count: int = 2) -> Tensor:
    return torch.randn(count, TOKENS, 16, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_equals_the_literal_sum_over_queries_heads_and_points() -> None:
    module, x = attention().double(), tokens().double()
    places = centres(SIZES, dtype=torch.float64)
    ours = module(x, places, x, SIZES)
    assert torch.allclose(ours, literal(module, x, places, x, SIZES), atol=1e-12)


def test_without_gradients_it_reads_the_same_wherever_points_lie() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, TOKENS, 2, 5, generator=generator)
    places = 4 * torch.rand(2, 6, 2, 3, 4, 2, generator=generator) - 1.5  # far off the maps as well
    places[0, 0, 0, 0] = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-9e9, 0.5], [0.5, 9e9]])
    weights = torch.rand(2, 6, 2, 3, 4, generator=generator)
    wanted = sample_maps(values, SIZES, places, weights)
    with torch.no_grad():
        found = sample_maps(values, SIZES, places, weights)
        nothing = sample_maps(values, SIZES, torch.full_like(places, torch.nan), torch.full_like(weights, torch.nan))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert bool(nothing.isnan().all())


@torch.no_grad()
def test_offsets_within_boxes_reach_their_edges() -> None:
    module, x = attention().double(), tokens().double()
    queries = torch.randn(2, 5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    boxes = torch.rand(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    ours = module(queries, boxes, x, SIZES)
    for n in range(2):
        wanted = literal(module, queries[n : n + 1], boxes[n], x[n : n + 1], SIZES)
        assert torch.allclose(ours[n : n + 1], wanted, atol=1e-12)
    # An offset of as many as there are points lies on the box's edge, a quarter of the picture from its centre.
    module = DeformableAttention(2, heads=1, levels=1, points=2)
    torch.nn.init.constant_(module.sampling_offsets.bias, 2.0)
    row = torch.stack([torch.arange(8.0), torch.ones(8)], -1)[None]
    torch.nn.init.eye_(module.value_proj.weight)
    torch.nn.init.eye_(module.output_proj.weight)
    found = module(torch.zeros(1, 1, 2), torch.tensor([[[0.5, 0.25, 0.5, 0.5]]]), row, [(1, 8)])
    assert torch.allclose(found, torch.tensor([[[5.5, 1.0]]]))  # at 3/4 of a row of 8


@torch.no_grad()
def test_sampling_is_single_precision_under_autocast() -> None:
    """Only the values are half: places of a query that looks at one pixel of a row of 300 are not rounded."""
    module = DeformableAttention(2, heads=1, levels=1, points=1)
    torch.nn.init.constant_(module.sampling_offsets.bias, 0.0)
    torch.nn.init.eye_(module.sampling_offsets.weight)  # a query says how many pixels away it looks
    for linear in (module.value_proj, module.output_proj):
        torch.nn.init.eye_(linear.weight)
    row = torch.stack([torch.arange(300.0) % 2, torch.ones(300)], -1)[None]
    queries = torch.stack([torch.arange(300) - 149.5, torch.zeros(300)], -1)[None]  # half pixels round in bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        found = module(queries, torch.tensor([[0.5, 0.5]]).expand(300, -1), row, [(1, 300)])
    assert found.dtype == torch.float32
    assert torch.allclose(found[0, :, 0], torch.arange(300.0) % 2, atol=1e-4)


@torch.no_grad()
def test_queries_may_be_others_than_the_tokens_and_each_picture_have_its_places() -> None:
    module, x = attention().double(), tokens().double()
    queries = torch.randn(2, 5, 16, dtype=torch.float64)
    places = torch.rand(2, 5, 2, dtype=torch.float64)
    ours = module(queries, places, x, SIZES)
    for n in range(2):
        wanted = literal(module, queries[n : n + 1], places[n], x[n : n + 1], SIZES)
        assert torch.allclose(ours[n : n + 1], wanted, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(2)
    sizes: list[Size] = [(2, 3), (3, 2)]
    values = torch.randn(1, 12, 2, 2, generator=generator, dtype=torch.float64)
    # Off the lines on which bilinear samples have a kink, and some off the map.
    cells = torch.randint(-1, 4, (1, 3, 2, 2, 2, 2), generator=generator)
    sides = torch.tensor([[w, h] for h, w in sizes], dtype=torch.float64)[:, None]
    inside = torch.rand(cells.shape, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    locations = (cells + inside + 0.5) / sides
    weights = torch.rand(1, 3, 2, 2, 2, generator=generator, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (values, locations, weights)]
    assert torch.autograd.gradcheck(lambda v, p, w: sample_maps(v, sizes, p, w), inputs)


def test_every_parameter_and_input_has_a_gradient() -> None:
    module, x = attention(), tokens().requires_grad_()
    module(x, centres(SIZES), x, SIZES).square().sum().backward()
    for tensor in (x, *module.parameters()):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0


def test_half_precision_is_near_and_has_gradients() -> None:
    module, x = attention(), tokens()
    wanted = module(x, centres(SIZES), x, SIZES)
    narrow = x.bfloat16().requires_grad_()
    ours = module.bfloat16()(narrow, centres(SIZES), narrow, SIZES)
    assert ours.dtype == torch.bfloat16
    assert (ours.float() - wanted).abs().max() < 0.05 * wanted.abs().max()
    ours.sum().backward()
    assert narrow.grad is not None and narrow.grad.isfinite().all()


def test_large_maps_keep_their_places_in_half_precision() -> None:
    """In bfloat16 a row of 300 pixels would have places for one pixel in two at its far end."""
    values = torch.arange(300.0).reshape(1, 300, 1, 1)
    locations = torch.stack([(torch.arange(300) + 0.5) / 300, torch.full((300,), 0.5)], -1).reshape(1, 300, 1, 1, 1, 2)
    found = sample_maps(values.bfloat16(), [(1, 300)], locations, torch.ones(1, 300, 1, 1, 1))
    assert torch.equal(found.flatten(), values.flatten().bfloat16())


@pytest.mark.slow
def test_compiles_without_a_break_forwards_and_back() -> None:
    module = attention()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    gradients = []
    for network in (module, compiled):
        x = tokens().requires_grad_()
        network(x, centres(SIZES), x, SIZES).square().sum().backward()
        gradients.append(x.grad)
    assert torch.allclose(*gradients, atol=1e-4)


def test_begins_as_a_ring_of_points_that_count_alike() -> None:
    module = DeformableAttention(32, heads=8, levels=2, points=4)
    offsets = module.sampling_offsets(torch.randn(32)).reshape(8, 2, 4, 2)
    assert torch.allclose(offsets[0, 0], torch.tensor([[1.0, 0], [2, 0], [3, 0], [4, 0]]), atol=1e-6)
    assert torch.allclose(offsets[1, 1, 2], torch.tensor([3.0, 3.0]), atol=1e-5)
    assert torch.allclose(offsets.abs().amax(-1), torch.tensor([1.0, 2, 3, 4]).expand(8, 2, -1), atol=1e-5)
    assert torch.equal(offsets[:, 0], offsets[:, 1])
    # Maps that are one everywhere: the mean over all points is one where they are all on the maps.
    sizes: list[Size] = [(9, 9), (11, 11)]
    ones = torch.ones(1, 202, 8, 4)
    scale = torch.tensor([[9.0, 9], [11, 11]])[:, None]
    weights = module.attention_weights(torch.randn(1, 32)).reshape(1, 1, 8, 8).softmax(-1).unflatten(-1, (2, 4))
    found = sample_maps(ones, sizes, 0.5 + offsets[None, None] / scale, weights)
    assert torch.allclose(found, torch.ones(()), atol=1e-5)


def test_maps_that_are_not_the_tokens_are_refused() -> None:
    module, x = attention(), tokens()
    with pytest.raises(ValueError, match=r"33 tokens with maps of the sizes \[\(2, 3\)\]; wanted 3 maps"):
        module(x, centres(SIZES), x, [(2, 3)])
    with pytest.raises(ValueError, match=r"places of 3 numbers, wanted \(x, y\) or \(x, y, width, height\)"):
        module(x, torch.zeros(2, TOKENS, 3), x, SIZES)
    with pytest.raises(ValueError, match="width 10 does not divide into 4 heads"):
        DeformableAttention(10, heads=4)
