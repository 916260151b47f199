"""CAVP's network: the fusion against its definition, decoders, and what training shares."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from avseg.models.cavp.fusion import AudioFusion, VisualProjector, places


def literal_norm(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean() + 1e-5) * norm.weight + norm.bias


def literal_gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def literal_pixel(v: Tensor, place: Tensor, a: Tensor, projector: VisualProjector, fusion: AudioFusion) -> Tensor:
    """One pixel and one sound, equation by equation; also the attention of each head."""
    p = projector.leave.weight @ literal_gelu(projector.enter.weight @ v + projector.enter.bias) + projector.leave.bias
    x = fusion.embed_visual.weight @ p + fusion.embed_visual.bias
    if fusion.embed_place is not None:
        x = x + fusion.embed_place.weight @ place
    n = literal_norm(x, fusion.norm)
    m = literal_norm(fusion.embed_audio.weight @ a + fusion.embed_audio.bias, fusion.norm)
    query, key, value = fusion.query.weight @ n, fusion.key.weight @ m, fusion.value.weight @ m
    d = len(v) // fusion.heads
    alphas, parts = [], []
    for head in range(fusion.heads):
        own = slice(head * d, (head + 1) * d)
        alphas.append(1 / (1 + torch.exp(-(query[own] * key[own]).sum() / math.sqrt(d))))
        parts.append(alphas[-1] * value[own])
    u = n + fusion.project.weight @ torch.cat(parts) + fusion.project.bias
    inside, outside = fusion.mlp[0], fusion.mlp[2]
    hidden = literal_gelu(inside.weight @ literal_norm(u, fusion.mlp_norm) + inside.bias)
    z = literal_norm(u + outside.weight @ hidden + outside.bias, fusion.out_norm)
    return torch.cat([z, torch.stack(alphas)])


def parts(width: int = 24, coordinates: bool = False) -> tuple[VisualProjector, AudioFusion]:
    """In float64, with weights large enough that every term counts."""
    torch.manual_seed(0)
    projector, fusion = VisualProjector(width, 20).double(), AudioFusion(width, 4, coordinates).double()
    for parameter in [*projector.parameters(), *fusion.parameters()]:
        torch.nn.init.normal_(parameter, 0.2, 0.5)
    return projector, fusion


@pytest.mark.parametrize("coordinates", [False, True])
@pytest.mark.parametrize("sounds", [1, 2])
def test_fusion_is_its_definition_pixel_by_pixel(coordinates: bool, sounds: int) -> None:
    projector, fusion = parts(coordinates=coordinates)
    seen = torch.randn(2, 24, 3, 5, dtype=torch.float64, requires_grad=True)
    heard = torch.randn(sounds * 2, 24, dtype=torch.float64, requires_grad=True)
    tokens = fusion.tokens(seen, projector)
    ours = torch.cat([fusion(tokens, heard), fusion.attention(tokens, heard)], -1)  # (R * N, P, D + heads)
    grid = places(seen)
    expected = torch.stack(
        [
            torch.stack([literal_pixel(v, xy, a, projector, fusion) for v, xy in zip(picture.T, grid, strict=True)])
            for picture, a in zip(seen.flatten(2).repeat(sounds, 1, 1), heard, strict=True)
        ]
    )
    assert torch.allclose(ours, expected, atol=1e-9)
    leaves = [seen, heard, *projector.parameters(), *fusion.parameters()]
    weight = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(ours, leaves, weight), torch.autograd.grad(expected, leaves, weight), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-7 * float(b.abs().max() + 1))


def test_places_are_pixel_centres() -> None:
    grid = places(torch.zeros(1, 1, 2, 4))
    assert grid.reshape(2, 4, 2)[0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert grid.reshape(2, 4, 2)[:, 0, 1].tolist() == [-0.5, 0.5]


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="4 heads do not divide the 26 channels"):
        AudioFusion(26, 4)
