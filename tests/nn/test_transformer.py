"""Blocks of query decoders against torch's own attention and the formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.transformer import (
    Attention,
    CrossAttention,
    DecoderLayer,
    FeedForward,
    Perceptron,
    SelfAttention,
    TokenDecoderLayer,
)

WIDTH, HEADS = 16, 4


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomised(module: nn.Module) -> nn.Module:
    for index, parameter in enumerate(module.parameters()):
        parameter.data = drawn(*parameter.shape, seed=index) / 2
    return module


def theirs(ours: Attention) -> nn.MultiheadAttention:
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).double()
    attention.load_state_dict(ours.state_dict(), strict=True)
    return attention


@torch.no_grad()
def test_attention_has_torch_s_parameters_and_answers() -> None:
    ours = Attention(WIDTH, HEADS)
    randomised(ours)
    query, key, value = drawn(2, 5, WIDTH), drawn(2, 7, WIDTH, seed=1), drawn(2, 7, WIDTH, seed=2)
    allowed = drawn(2, 5, 7, seed=3) > 0
    allowed[..., 0] = True
    wanted, _ = theirs(ours)(query, key, value, attn_mask=~allowed.repeat_interleave(HEADS, 0))
    assert torch.allclose(ours(query, key, value, allowed), wanted, atol=1e-12)
    wanted, _ = theirs(ours)(query, key, value)
    assert torch.allclose(ours(query, key, value), wanted, atol=1e-12)


@torch.no_grad()
def test_positions_are_added_to_queries_and_keys_alone() -> None:
    x, memory = drawn(2, 5, WIDTH), drawn(2, 7, WIDTH, seed=1)
    position, memory_position = drawn(5, WIDTH, seed=2), drawn(7, WIDTH, seed=3)
    block = CrossAttention(WIDTH, HEADS)
    randomised(block)
    found, _ = theirs(block.attention)(x + position, memory + memory_position, memory)
    wanted = F.layer_norm(x + found, (WIDTH,), block.norm.weight, block.norm.bias)
    ours = block(x, memory, position=position, memory_position=memory_position)
    assert torch.allclose(ours, wanted, atol=1e-12)
    among = SelfAttention(WIDTH, HEADS)
    randomised(among)
    found, _ = theirs(among.attention)(x + position, x + position, x)
    wanted = F.layer_norm(x + found, (WIDTH,), among.norm.weight, among.norm.bias)
    assert torch.allclose(among(x, position), wanted, atol=1e-12)


@torch.no_grad()
def test_one_token_spreads_over_the_places_of_all_queries() -> None:
    block = CrossAttention(WIDTH, HEADS)
    randomised(block)
    x, memory, position = drawn(2, 1, WIDTH), drawn(2, 7, WIDTH, seed=1), drawn(5, WIDTH, seed=2)
    spread = block(x, memory, position=position)
    assert torch.allclose(spread, block(x.expand(-1, 5, -1), memory, position=position), atol=1e-12)


@torch.no_grad()
def test_a_layer_looks_at_the_memory_then_at_itself_then_feeds_forward() -> None:
    layer = DecoderLayer(WIDTH, HEADS, inner=24)
    randomised(layer)
    x, memory, position = drawn(2, 5, WIDTH), drawn(2, 7, WIDTH, seed=1), drawn(5, WIDTH, seed=2)
    allowed = torch.ones(2, 5, 7, dtype=torch.bool)
    allowed[:, :, 3] = False
    step = layer.self_attention(layer.cross_attention(x, memory, allowed, position), position)
    feed = layer.feed_forward
    inner = (step @ feed.linear1.weight.T + feed.linear1.bias).clamp(min=0)
    added = step + inner @ feed.linear2.weight.T + feed.linear2.bias
    wanted = F.layer_norm(added, (WIDTH,), feed.norm.weight, feed.norm.bias)
    ours = layer(x, memory, allowed, position)
    assert torch.allclose(ours, wanted, atol=1e-12)
    memory[:, 3] = 1e3
    assert torch.equal(layer(x, memory, allowed, position), ours)


@torch.no_grad()
def test_a_token_layer_looks_at_itself_then_at_the_memory_that_there_is() -> None:
    layer = TokenDecoderLayer(WIDTH, HEADS, inner=24, dropout=0.3).eval()
    randomised(layer)
    x, memory = drawn(2, 5, WIDTH), drawn(2, 7, WIDTH, seed=1)
    position, memory_position = drawn(5, WIDTH, seed=2), drawn(7, WIDTH, seed=3)
    among = layer.self_attention(x, position)
    step = layer.cross_attention(among, memory, position=position, memory_position=memory_position)
    wanted = layer.feed_forward(step)
    assert torch.allclose(layer(x, memory, None, position, memory_position), wanted, atol=1e-12)
    present = torch.ones(2, 7, dtype=torch.bool)
    assert torch.allclose(layer(x, memory, present, position, memory_position), wanted, atol=1e-12)
    present[1, 4:] = False
    ours = layer(x, memory, present, position, memory_position)
    shorter = layer(x[1:], memory[1:, :4], None, position, memory_position[:4])
    assert torch.allclose(ours[:1], wanted[:1], atol=1e-12) and torch.allclose(ours[1:], shorter, atol=1e-12)
    assert not torch.allclose(ours[1:], wanted[1:], atol=1e-3)
    memory[1, 4:] = 1e3
    assert torch.equal(layer(x, memory, present, position, memory_position), ours)


def test_a_token_layer_has_1_58_million_parameters() -> None:
    assert sum(p.numel() for p in TokenDecoderLayer(256).parameters()) == 1_578_752


def test_dropout_works_while_training_and_is_none_by_default() -> None:
    x, memory = drawn(2, 5, WIDTH), drawn(2, 7, WIDTH, seed=1)
    for kind in (TokenDecoderLayer, DecoderLayer):
        layer = kind(WIDTH, HEADS, inner=24)
        randomised(layer)
        torch.manual_seed(0)
        state = torch.get_rng_state()
        assert torch.equal(layer(x, memory), layer.eval()(x, memory))
        assert torch.equal(torch.get_rng_state(), state)
    dropping = TokenDecoderLayer(WIDTH, HEADS, inner=24, dropout=0.5)
    dropping.load_state_dict(TokenDecoderLayer(WIDTH, HEADS, inner=24).state_dict())
    dropping.double()
    assert not torch.equal(dropping(x, memory), dropping(x, memory))
    assert torch.equal(dropping.eval()(x, memory), dropping(x, memory))


@pytest.mark.parametrize("part", ["attention", "added", "between"])
def test_every_part_drops_what_it_should(part: str) -> None:
    """All of it: affinities gone leave the output's bias; what is added gone leaves the norm; and so on."""
    torch.manual_seed(0)
    x, memory = drawn(2, 5, WIDTH), drawn(2, 7, WIDTH, seed=1)
    if part == "attention":
        attention = Attention(WIDTH, HEADS, dropout=1.0)
        randomised(attention)
        assert torch.allclose(attention(x, memory, memory), attention.out_proj.bias.expand_as(x))
    elif part == "added":
        cross, among = CrossAttention(WIDTH, HEADS, dropout=1.0), SelfAttention(WIDTH, HEADS, dropout=1.0)
        randomised(cross), randomised(among)
        assert torch.allclose(cross(x, memory), cross.norm(x)) and torch.allclose(among(x), among.norm(x))
    else:
        feed = FeedForward(WIDTH, 24, dropout=0.5)
        randomised(feed)
        torch.nn.init.eye_(feed.norm.weight[:, None])
        inner = [feed(x) for _ in range(2)]
        assert not torch.equal(*inner)
        gone = FeedForward(WIDTH, 24, dropout=1.0)
        randomised(gone)
        assert torch.allclose(gone(x), gone.norm(x))


def test_everything_learns_in_half_precision() -> None:
    layer, perceptron = DecoderLayer(WIDTH, HEADS, inner=24).bfloat16(), Perceptron(WIDTH).bfloat16()
    out = perceptron(layer(drawn(2, 5, WIDTH).bfloat16(), drawn(2, 7, WIDTH).bfloat16()))
    assert out.shape == (2, 5, WIDTH) and out.dtype == torch.bfloat16
    out.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [*layer.parameters(), *perceptron.parameters()])


@torch.no_grad()
def test_a_perceptron_is_linear_maps_with_rectifiers_between() -> None:
    perceptron = Perceptron(WIDTH, 3)
    randomised(perceptron)
    x = drawn(4, WIDTH)
    a, b, c = perceptron.layers
    assert torch.allclose(perceptron(x), c(b(a(x).clamp(min=0)).clamp(min=0)), atol=1e-12)


@torch.no_grad()
def test_matrices_begin_as_xavier_draws_them() -> None:
    torch.manual_seed(0)
    attention, feed = Attention(256), FeedForward(256, 2048)
    # Uniform within sqrt(6 / (rows + columns)): three stacked matrices count as one.
    for weight, rows in (
        (attention.in_proj_weight, 768),
        (attention.out_proj.weight, 256),
        (feed.linear1.weight, 2048),
    ):
        limit = (6 / (rows + 256)) ** 0.5
        assert float(weight.abs().max()) == pytest.approx(limit, rel=0.01)
        assert float(weight.std()) == pytest.approx(limit / 3**0.5, rel=0.02)
    assert not attention.in_proj_bias.any() and not attention.out_proj.bias.any()


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="width 10 does not divide into 4 heads"):
        Attention(10, 4)


def test_attention_without_biases_is_torch_s() -> None:
    torch.manual_seed(0)
    ours, theirs = (
        Attention(WIDTH, HEADS, bias=False),
        nn.MultiheadAttention(WIDTH, HEADS, bias=False, batch_first=True),
    )
    theirs.load_state_dict(ours.state_dict())
    x, memory = torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)
    assert torch.allclose(ours(x, memory, memory), theirs(x, memory, memory)[0], atol=1e-6)


def test_a_feed_forward_may_have_a_gelu() -> None:
    torch.manual_seed(0)
    feed, x = FeedForward(WIDTH, 24, activation="gelu"), torch.randn(2, 3, WIDTH)
    wanted = feed.norm(x + feed.linear2(F.gelu(feed.linear1(x))))
    assert torch.allclose(feed(x), wanted, atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(feed(x), wanted, atol=1e-6)
