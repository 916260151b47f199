"""The deformable encoder: its layers, its positions, and what it keeps for the way back."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from avseg.nn.deform import centres
from avseg.nn.deform_encoder import DeformableEncoder, as_maps, flattened
from avseg.nn.position import sine_positions


def encoder(**changes: object) -> DeformableEncoder:
    torch.manual_seed(0)
    made = {"levels": 2, "points": 2, "dropout": 0.0, "activation": "gelu", "normalised": False, **changes}
    return DeformableEncoder(16, 2, 24, 2, **made).double()  # type: ignore[arg-type]


def test_layers_are_attention_and_feed_forward_each_added_and_normalised() -> None:
    made = encoder()
    tokens, sizes = flattened([torch.randn(2, 16, 4, 6).double(), torch.randn(2, 16, 2, 3).double()])
    position = torch.cat([sine_positions(h, w, 16, normalised=False) for h, w in sizes])
    position = position + made.level.repeat_interleave(torch.tensor([24, 6]), 0)
    x, places = tokens, centres(sizes)
    for layer in made.layers:
        feed = layer.feed_forward
        x = layer.norm(x + layer.attention(x + position, places, x, sizes))
        x = feed.norm(x + feed.linear2(F.gelu(feed.linear1(x))))
    assert torch.allclose(made(tokens, sizes), x, atol=1e-12)
    first, second = as_maps(tokens, sizes)
    assert first.shape == (2, 16, 4, 6) and second.shape == (2, 16, 2, 3)


def test_gradients_do_not_depend_on_what_is_kept() -> None:
    made = encoder()
    tokens, sizes = flattened([torch.randn(1, 16, 3, 4).double(), torch.randn(1, 16, 2, 2).double()])
    tokens = tokens.detach().requires_grad_()
    seed = torch.randn_like(tokens)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        out = made(tokens, sizes)
    (ours,) = torch.autograd.grad((out * seed).sum(), tokens)
    for place in ((0, 0, 0), (0, 7, 3), (0, 15, 15)):
        step = torch.zeros_like(tokens)
        step[place] = 1e-6
        with torch.no_grad():
            numeric = ((made(tokens + step, sizes) - made(tokens - step, sizes)) * seed).sum() / 2e-6
        assert torch.isclose(ours[place], numeric, rtol=1e-5, atol=1e-7)
    # No samples: tokens x points x channels of a head x heads.
    assert max(kept) < tokens.shape[1] * 2 * 16


def test_dropout_is_drawn_the_same_way_back() -> None:
    made = encoder(dropout=0.5).train()
    tokens, sizes = flattened([torch.randn(1, 16, 3, 4).double(), torch.randn(1, 16, 2, 2).double()])
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    inputs = tokens.detach().requires_grad_()

    def run(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return made(x, sizes).square().sum()

    (ours,) = torch.autograd.grad(run(inputs), inputs)
    step = torch.zeros_like(tokens)
    step[0, 2, 5] = 1e-6
    with torch.no_grad():
        numeric = (run(tokens + step) - run(tokens - step)) / 2e-6
    assert torch.isclose(ours[0, 2, 5], numeric, rtol=1e-4)
