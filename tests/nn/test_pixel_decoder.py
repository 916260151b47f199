"""The pixel decoder: numbers of parameters, what it is made of, and its precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.nn.deform import centres
from avseg.nn.pixel_decoder import PixelDecoder
from avseg.nn.position import sine_positions

CHANNELS = (6, 8, 10, 12)
SIZES = [(12, 20), (6, 10), (3, 5), (2, 3)]


def maps(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, c, *size, generator=generator) for c, size in zip(CHANNELS, SIZES, strict=True)]


@pytest.fixture(scope="module")
def decoder() -> PixelDecoder:
    decoder = PixelDecoder(CHANNELS, width=32, heads=4, layers=2, feedforward=48, points=3)
    generator = torch.Generator().manual_seed(0)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return decoder


@pytest.mark.parametrize(
    ("channels", "count"), [((256, 512, 1024, 2048), 6_035_904), ((192, 384, 768, 1536), 5_790_144)]
)
def test_it_has_as_many_parameters_as_published(channels: tuple[int, ...], count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in PixelDecoder(channels).parameters()) == count


@torch.no_grad()
def test_it_is_what_its_definition_says(decoder: PixelDecoder) -> None:
    fine, *others = maps()
    projected = []
    for index, x in enumerate(reversed(others)):
        convolution, norm = decoder.input_proj[index]
        x = torch.einsum("nchw,oc->nohw", x, convolution.weight[:, :, 0, 0]) + convolution.bias[:, None, None]
        projected.append(F.group_norm(x, 32, norm.weight, norm.bias, 1e-5))
    sizes = [(x.shape[2], x.shape[3]) for x in projected]
    assert sizes == SIZES[:0:-1]
    tokens = torch.cat([x.flatten(2) for x in projected], 2).transpose(1, 2)
    levels = [sine_positions(*size, 32) + decoder.level_embed[index] for index, size in enumerate(sizes)]
    for layer in decoder.layers:
        looked = layer.self_attn(tokens + torch.cat(levels), centres(sizes), tokens, sizes)
        tokens = layer.norm1(tokens + looked)
        tokens = layer.norm2(tokens + layer.linear2(layer.linear1(tokens).clamp(min=0)))
    ours = decoder(maps())
    start = 0
    for x, (height, width) in zip(ours.coarse, sizes, strict=True):
        part = tokens[:, start : start + height * width]
        assert torch.allclose(x, part.transpose(1, 2).reshape(2, 32, height, width), atol=1e-5)
        start += height * width
    lateral = decoder.lateral.norm(F.conv2d(fine, decoder.lateral.conv.weight))
    added = lateral + F.interpolate(ours.coarse[-1], scale_factor=2, mode="bilinear")
    wanted = decoder.smooth.norm(F.conv2d(added, decoder.smooth.conv.weight, padding=1)).clamp(min=0)
    assert torch.allclose(ours.fine, wanted, atol=1e-5)
    masks = F.conv2d(wanted, decoder.mask_features.weight, decoder.mask_features.bias)
    assert torch.allclose(ours.masks, masks, atol=1e-5)


@torch.no_grad()
def test_autocast_leaves_it_in_full_precision(decoder: PixelDecoder) -> None:
    wanted = decoder(maps())
    with torch.autocast("cpu", torch.bfloat16):
        ours = decoder(maps())
    assert torch.equal(ours.masks, wanted.masks) and torch.equal(ours.fine, wanted.fine)
    narrow = decoder([x.bfloat16() for x in maps()])
    assert narrow.masks.dtype == torch.float32
    assert (narrow.masks - wanted.masks).abs().max() < 0.1 * wanted.masks.abs().max()


def test_every_part_learns(decoder: PixelDecoder) -> None:
    out = decoder(maps())
    (out.masks.square().mean() + torch.stack([x.square().mean() for x in out.coarse]).sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


@torch.no_grad()
def test_first_weights_are_drawn_as_published() -> None:
    torch.manual_seed(0)
    decoder = PixelDecoder((64, 128, 256, 512), layers=1)
    convolution = decoder.smooth.conv.weight
    assert float(convolution.abs().max()) == pytest.approx((3 / (256 * 9)) ** 0.5, rel=0.01)
    first = decoder.input_proj[0][0]
    assert float(first.weight.abs().max()) == pytest.approx((6 / (512 + 256)) ** 0.5, rel=0.01)
    assert not first.bias.any() and not decoder.mask_features.bias.any()
    assert float(decoder.level_embed.std()) == pytest.approx(1, abs=0.1)


def test_widths_without_whole_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="width 48; wanted a multiple of 32"):
        PixelDecoder(CHANNELS, width=48)
