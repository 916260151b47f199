"""CAVP's network: the fusion against its definition, decoders, and what training shares."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.cavp.deeplab import PyramidPooling
from avseg.models.cavp.fusion import AudioFusion, VisualProjector, places
from avseg.models.cavp.network import CAVPNetwork
from avseg.models.cavp.ocr import OCRDecoder
from small import small_config


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


# Decoders.


def literal_convolution(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """A 3x3 or 1x1 convolution of (N, C, h, w) with padding that keeps the size, tap by tap on a padded map."""
    h, w = x.shape[-2:]
    reach = weight.shape[-1] // 2 * dilation
    padded = x.new_zeros(len(x), x.shape[1], h + 2 * reach, w + 2 * reach)
    padded[:, :, reach : reach + h, reach : reach + w] = x
    out = x.new_zeros(len(x), len(weight), h, w)
    for row in range(weight.shape[-1]):
        for column in range(weight.shape[-1]):
            seen = padded[:, :, row * dilation :, column * dilation :][:, :, :h, :w]
            out = out + (seen.movedim(1, -1) @ weight[:, :, row, column].T).movedim(-1, 1)
    return out


def literal_batch_norm(x: Tensor, norm: nn.Module) -> Tensor:
    """With statistics of the batch."""
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (var + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.01 * x)


@pytest.mark.parametrize("size", [(1, 1), (7, 8), (14, 20)])
def test_pyramid_pooling_is_its_definition(size: tuple[int, int]) -> None:
    """On small maps most taps of wide branches meet only padding."""
    torch.manual_seed(0)
    aspp = PyramidPooling(5, 6).double()
    for parameter in aspp.parameters():
        torch.nn.init.normal_(parameter, 0.1, 0.3)
    x = torch.randn(3, 5, *size, dtype=torch.float64, requires_grad=True)
    maps = [
        literal_convolution(x, branch.weight, rate) for branch, rate in zip(aspp.branches, (1, 6, 12, 18), strict=True)
    ]
    reduced = literal_convolution(
        leaky(literal_batch_norm(torch.cat(maps, 1), aspp.branch_norm)), aspp.reduce.weight, 1
    )
    mean = literal_convolution(x.mean((2, 3), keepdim=True), aspp.pool.weight, 1)
    pooled = literal_convolution(leaky(literal_batch_norm(mean, aspp.pool_norm)), aspp.pool_reduce.weight, 1)
    expected = leaky(literal_batch_norm(reduced + pooled, aspp.norm))
    ours = aspp(x)
    assert torch.allclose(ours, expected, atol=1e-9)
    leaves, weight = [x, *aspp.parameters()], torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(ours, leaves, weight), torch.autograd.grad(expected, leaves, weight), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-8 * float(b.abs().max() + 1))


def test_ocr_gathers_a_vector_per_class_and_hands_it_out() -> None:
    torch.manual_seed(0)
    decoder = OCRDecoder((4, 6), classes=3, width=8).double().eval()
    maps = [torch.randn(2, 4, 6, 5, dtype=torch.float64), torch.randn(2, 6, 3, 3, dtype=torch.float64)]
    seen = decoder(maps)
    coarse = F.interpolate(maps[1], (6, 5), mode="bilinear", align_corners=True)
    pixels = decoder.pixels(torch.cat([maps[0], coarse], 1))
    assert seen.auxiliary is not None and seen.auxiliary.shape == (2, 3, 6, 5)
    attention = decoder.attention
    for n in range(2):
        flat = pixels[n].flatten(1)  # (D, P)
        shares = seen.auxiliary[n].flatten(1).exp()
        shares = shares / shares.sum(1, keepdim=True)  # over space
        regions = torch.stack([(flat * share).sum(1) for share in shares], 1)[None, :, :, None]  # (1, D, classes, 1)
        query = attention.query(pixels[n : n + 1])[0].flatten(1)  # (d, P)
        key, value = attention.key(regions)[0, :, :, 0], attention.value(regions)[0, :, :, 0]  # (d, classes)
        context = torch.zeros_like(query)
        for p in range(query.shape[1]):
            scores = torch.stack([(query[:, p] * key[:, c]).sum() / math.sqrt(4) for c in range(3)]).exp()
            context[:, p] = sum(scores[c] / scores.sum() * value[:, c] for c in range(3))
        context = attention.leave(context.reshape(1, 4, 6, 5))
        assert torch.allclose(
            attention.join(torch.cat([context, pixels[n : n + 1]], 1))[0], seen.features[n], atol=1e-9
        )


# The whole network, small.


def small(decoder: str = "deeplab", **changes: Any) -> CAVPNetwork:
    torch.manual_seed(0)
    return CAVPNetwork(3, small_config("cavp", decoder=decoder, **changes)).eval()


@pytest.mark.parametrize("decoder", ["deeplab", "hrnet", "ocr"])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_byobnet"])
def test_any_backbone_and_picture_size(decoder: str, backbone: str) -> None:
    network = small(decoder, backbone=backbone)
    images, log_mel = torch.randn(2, 3, 70, 90), torch.randn(2, 1, 300, 64)
    with torch.inference_mode():
        logits, embeddings = network(images, log_mel)
        seen = network.see(images)
        attention = network.attend(seen.features, network.hear(log_mel))
    h, w = seen.features.shape[-2:]
    assert (h, w) == (18, 23) and seen.features.shape[1] == network.width
    assert logits.shape == (2, 3, h, w) and embeddings.shape == (2, network.width, h, w)
    assert attention.shape == (2, 4, h, w) and 0 < attention.min() < attention.max() < 1
    assert (seen.auxiliary is None) == (decoder != "ocr")


def test_parts_are_the_five_that_a_recipe_names() -> None:
    parts = dict(small().named_children())
    assert list(parts) == ["backbone", "decoder", "projector", "fusion", "audio"]


@pytest.mark.parametrize("decoder", ["deeplab", "hrnet", "ocr"])
def test_two_sounds_share_one_look_at_the_picture(decoder: str) -> None:
    network = small(decoder, audio_channels=2)
    images, log_mel = torch.randn(2, 3, 64, 64), torch.randn(4, 2, 300, 64)
    with torch.inference_mode():
        seen, heard = network.see(images).features, network.hear(log_mel)
        both = network.fuse(seen, heard)
        apart = [network.fuse(seen, half) for half in heard.chunk(2)]
        twice = network.fuse(torch.cat([seen, seen]), heard)
    assert torch.allclose(both, torch.cat(apart), atol=1e-5) and torch.allclose(both, twice, atol=1e-5)
    with pytest.raises(ValueError, match="3 sounds for 2 pictures"):
        network.fuse(seen, heard[:3])


def test_every_parameter_learns_and_norms_see_both_halves() -> None:
    network = small(coordinates=True).train()
    embeddings = network.fuse(network.see(torch.randn(2, 3, 64, 64)).features, network.hear(torch.randn(4, 1, 300, 64)))
    before = network.decoder.first_norm.running_mean.clone()
    logits = network.classify(embeddings, keep=2)
    maps = network.decoder.first(embeddings.detach())  # (4, ...)
    expected = 0.9 * before + 0.1 * maps.mean((0, 2, 3))
    assert torch.allclose(network.decoder.first_norm.running_mean, expected, atol=1e-6)
    assert logits.shape[0] == 2
    (logits.square().mean() + embeddings[2:].square().sum()).backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # Residual blocks of a fresh backbone end in a norm that scales by zero.
    assert [name for name in still if not name.startswith("backbone.")] == []


def test_output_stride_tells_how_coarse_a_deep_resnet_becomes() -> None:
    with torch.device("meta"):
        networks = [small(backbone="resnet50_deep", output_stride=stride) for stride in (8, 16)]
    sizes = []
    for network in networks:
        hook = network.decoder.aspp.register_forward_hook(lambda _, inputs, output: sizes.append(output.shape[-2:]))
        with torch.inference_mode():
            assert network.see(torch.zeros(1, 3, 64, 96, device="meta")).features.shape[-2:] == (16, 24)
        hook.remove()
    assert [tuple(size) for size in sizes] == [(8, 12), (4, 6)]


def test_with_coordinates_a_sound_can_choose_a_side() -> None:
    """Of pixels that look alike. Without, all of them are given the same weight."""
    left, right = torch.tensor([[1.0, -1.0, 0.0, 0.0], [-1.0, 1.0, 0.0, 0.0]])
    for coordinates in (False, True):
        projector, fusion = VisualProjector(4), AudioFusion(4, 1, coordinates)
        nn.init.zeros_(fusion.embed_visual.weight)
        for layer, scale in ((fusion.embed_audio, 1.0), (fusion.query, 3.0), (fusion.key, 3.0)):
            layer.weight.data = scale * torch.eye(4)
        for layer in (fusion.embed_visual, fusion.embed_audio):
            nn.init.zeros_(layer.bias)
        if fusion.embed_place is not None:
            fusion.embed_place.weight.data = torch.stack([right, torch.zeros(4)], 1)
        tokens = fusion.tokens(torch.randn(1, 4, 2, 6), projector)
        alpha = fusion.attention(tokens, torch.stack([left, right])).reshape(2, 2, 6).round(decimals=2)
        if coordinates:
            assert alpha[0].tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]] * 2
            assert alpha[1].tolist() == [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]] * 2
        else:
            assert bool((alpha == 0.5).all())
