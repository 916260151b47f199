"""Attention in blocks is attention, whatever is left out, and leaves out as much as it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.nn import blockwise
from avseg.nn.blockwise import blockwise_attention, pays
from avseg.nn.transformer import Attention


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows of 23 keys and two heads."""
    monkeypatch.setattr(blockwise, "BLOCK", 7 * 23 * 2)
    monkeypatch.setattr(blockwise, "PAYS", 1)


def tokens(queries: int = 17, width: int = 6) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    shapes = ((3, 2, queries, width), (3, 2, 23, width), (3, 2, 23, 5))
    return [torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_() for shape in shapes]


def gradients(out: Tensor, given: list[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return torch.autograd.grad((out * weights).sum(), given)


def test_without_anything_left_out_it_is_torchs() -> None:
    given = tokens()
    ours, theirs = blockwise_attention(*given, 0.0), F.scaled_dot_product_attention(*given)
    assert torch.allclose(ours, theirs, atol=1e-12)
    for own, other in zip(gradients(ours, given), gradients(theirs, given), strict=True):
        assert torch.allclose(own, other, atol=1e-12)


def test_the_way_back_leaves_out_the_same() -> None:
    query, key, value = given = tokens()
    torch.manual_seed(3)
    with torch.no_grad():
        kept = blockwise_attention(query, key, torch.eye(23, dtype=torch.float64).expand(3, 2, -1, -1), 0.4)
    whole = (query @ key.mT / 6**0.5).softmax(-1)
    mask = torch.where(kept > 0, kept / whole, 0).detach()
    assert torch.allclose(mask[mask > 0], torch.tensor(1 / 0.6, dtype=torch.float64), rtol=1e-4)
    assert 0.5 < float((mask > 0).double().mean()) < 0.7
    torch.manual_seed(3)
    ours, theirs = blockwise_attention(*given, 0.4), (whole * mask) @ value
    assert torch.allclose(ours, theirs, atol=1e-12)
    for own, other in zip(gradients(ours, given), gradients(theirs, given), strict=True):
        assert torch.allclose(own, other, atol=1e-12)


def test_draws_follow_the_seed_and_differ_between_calls_and_blocks() -> None:
    given = [tensor.detach() for tensor in tokens()]
    torch.manual_seed(0)
    first, second = blockwise_attention(*given, 0.5), blockwise_attention(*given, 0.5)
    torch.manual_seed(0)
    assert torch.equal(first, blockwise_attention(*given, 0.5)) and not torch.allclose(first, second)
    same = [tensor[:, :, :1].expand_as(tensor).contiguous() for tensor in given]
    rows = blockwise_attention(same[0], given[1], given[2], 0.5)
    assert len({tuple(row.tolist()) for row in rows[0, 0]}) == 17


def test_attention_takes_it_while_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("avseg.nn.transformer.blockwise_attention", lambda q, k, v, p: calls.append(p) or q)
    attention, x = Attention(8, 2, dropout=0.25), torch.randn(1, 5, 8)
    attention.eval()(x, x, x)
    attention.train()(x, x, x, torch.ones(1, 5, 5, dtype=torch.bool))
    assert calls == []
    attention(x, x, x)
    assert calls == [0.25]
    assert not pays(x.bfloat16()[None], x.bfloat16()[None])
