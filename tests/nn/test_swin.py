"""Swin stage by stage against windows cut one at a time, at sizes that no window divides."""

from __future__ import annotations

import math
from typing import Any

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.nn.backbones import make_backbone
from avseg.nn.swin import Swin

LARGE = "swin_large_patch4_window12_384"
TINY = "swin_tiny_patch4_window7_224"


def tiny(window: int, **options: Any) -> Swin:
    """Random weights, also where timm begins with zeros and ones."""
    small = {"embed_dim": 12, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 3, 4), "window_size": window, **options}
    swin = make_backbone(TINY, small)
    assert isinstance(swin, Swin)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in swin.named_parameters():
        scale = 1.0 if "bias_table" in name else 0.5 / math.sqrt(parameter[0].numel())
        torch.nn.init.normal_(parameter, std=scale, generator=generator)
    return swin.double().eval()


def pictures(height: int, width: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randn(count, 3, height, width, generator=generator, dtype=torch.float64)


def literal_window(block: Any, pixels: Tensor, places: list[tuple[int, int]], size: tuple[int, int]) -> Tensor:
    """(P, C) pixels of one window, whose places in the padded map these are; a map's far side is no neighbour."""
    attention, (tall, wide), (height, width) = block.attn, block.window, size
    places_of = torch.tensor(places)  # (P, 2)
    steps = (places_of - places_of[0]) % torch.tensor([height, width])
    apart = steps[:, None] - steps  # (P, P, 2), within the window
    entries = (apart[..., 0] + tall - 1) * (2 * wide - 1) + apart[..., 1] + wide - 1
    strangers = (places_of[:, None] - places_of != apart).any(-1)
    bias = attention.relative_position_bias_table[entries].permute(2, 0, 1) - 100 * strangers
    parts = F.linear(pixels, attention.qkv.weight, attention.qkv.bias).chunk(3, -1)
    answers = []
    heads = zip(*(part.chunk(attention.num_heads, -1) for part in parts), bias, strict=True)
    for query, key, value, own_bias in heads:
        affinity = query @ key.T / math.sqrt(query.shape[1]) + own_bias
        answers.append(affinity.softmax(-1) @ value)
    return F.linear(torch.cat(answers, -1), attention.proj.weight, attention.proj.bias)


def literal_block(block: Any, x: Tensor) -> Tensor:
    """(H, W, C) -> (H, W, C): pad to whole windows, shift, window by window, shift back, crop."""
    height, width = x.shape[:2]
    tall, wide = block.window
    normed = F.layer_norm(x, x.shape[-1:], block.norm1.weight, block.norm1.bias)
    padded = torch.zeros(math.ceil(height / tall) * tall, math.ceil(width / wide) * wide, x.shape[2], dtype=x.dtype)
    padded[:height, :width] = normed
    size = (padded.shape[0], padded.shape[1])
    found = torch.zeros_like(padded)
    for top in range(0, size[0], tall):
        for left in range(0, size[1], wide):
            places = [
                ((top + row + block.shift[0]) % size[0], (left + column + block.shift[1]) % size[1])
                for row in range(tall)
                for column in range(wide)
            ]
            rows, columns = (list(part) for part in zip(*places, strict=True))
            found[rows, columns] = literal_window(block, padded[rows, columns], places, size)
    x = x + found[:height, :width]
    inner = F.layer_norm(x, x.shape[-1:], block.norm2.weight, block.norm2.bias)
    inner = F.gelu(F.linear(inner, block.mlp.fc1.weight, block.mlp.fc1.bias))
    return x + F.linear(inner, block.mlp.fc2.weight, block.mlp.fc2.bias)


def literal_stage(stage: Any, x: Tensor, first: bool) -> Tensor:
    """(H, W, C): two by two pixels become one, but in the first stage; then the blocks."""
    if not first:
        padded = F.pad(x, (0, 0, 0, x.shape[1] % 2, 0, x.shape[0] % 2))
        x = torch.cat([padded[down::2, right::2] for right in (0, 1) for down in (0, 1)], -1)
        x = F.layer_norm(x, x.shape[-1:], stage.downsample.norm.weight, stage.downsample.norm.bias)
        x = F.linear(x, stage.downsample.reduction.weight)
    for block in stage.blocks:
        x = literal_block(block, x)
    return x


@pytest.fixture(scope="module")
def swin() -> Swin:
    return tiny(5)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(96, 128), (224, 300), (90, 130), (20, 12)])
def test_every_stage_equals_windows_cut_one_by_one(swin: Swin, height: int, width: int) -> None:
    """One network for all sizes; maps of 24 x 32 to 56 x 75 pixels and smaller than a window, which has 5 x 5."""
    images = pictures(height, width, count=2 if height == 20 else 1)
    maps = swin(images)
    padded = F.pad(images, (0, -width % 4, 0, -height % 4))
    x = F.conv2d(padded, swin.patch_embed.proj.weight, swin.patch_embed.proj.bias, stride=4).permute(0, 2, 3, 1)
    x = F.layer_norm(x, x.shape[-1:], swin.patch_embed.norm.weight, swin.patch_embed.norm.bias)
    for index, (stage, norm) in enumerate(zip(swin.layers, swin.norms, strict=True)):
        x = torch.stack([literal_stage(stage, picture, index == 0) for picture in x])
        wanted = F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias).permute(0, 3, 1, 2)
        assert maps[index].shape == wanted.shape
        assert torch.allclose(maps[index], wanted, atol=1e-9), f"stage {index}"


@torch.no_grad()
def test_equals_timm_where_windows_fit_and_not_elsewhere() -> None:
    ours = tiny(4)
    options = {"embed_dim": 12, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 3, 4), "window_size": 4}
    stock = timm.create_model(TINY, num_classes=0, always_partition=True, strict_img_size=False, **options).double()
    stock.load_state_dict({k: v for k, v in ours.state_dict().items() if not k.startswith("norms.")}, strict=False)

    def difference(height: int, width: int) -> float:
        images = pictures(height, width, 1)
        maps = stock.eval().forward_intermediates(images, intermediates_only=True)
        normed = [norm(m.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for m, norm in zip(maps, ours.norms, strict=True)]
        return max(float((a - b).abs().max()) for a, b in zip(ours(images), normed, strict=True))

    assert difference(128, 256) < 1e-9
    assert difference(96, 128) > 0.1


def test_the_published_large_one_has_its_numbers_and_drop_path() -> None:
    with torch.device("meta"):
        large = make_backbone(LARGE)
    assert isinstance(large, Swin)
    assert sum(p.numel() for p in large.parameters()) == 195_201_204
    assert large.channels == (192, 384, 768, 1536)
    assert all(norm.eps == 1e-5 for norm in large.norms)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for stage in large.layers for block in stage.blocks]
    assert rates == pytest.approx([0.3 * i / 23 for i in range(24)])
    assert {block.window for stage in large.layers for block in stage.blocks} == {(12, 12)}
    assert [block.shift for block in large.layers[3].blocks] == [(0, 0), (6, 6)]


def test_windows_may_differ_from_stage_to_stage() -> None:
    with torch.device("meta"):
        backbone = make_backbone("swin_s3_tiny_224")
        maps = backbone(torch.zeros(1, 3, 100, 140))
    assert [tuple(m.shape[2:]) for m in maps] == [(25, 35), (13, 18), (7, 9), (4, 5)]


def test_training_drops_paths_and_every_parameter_learns() -> None:
    swin = tiny(5, drop_path_rate=0.5).train()
    images = pictures(40, 60)
    torch.manual_seed(0)
    once, again = swin(images), swin(images)
    assert not torch.allclose(once[3], again[3])
    swin.eval()
    torch.stack([m.square().mean() for m in swin(images)]).sum().backward()
    assert all(p.grad is not None for p in swin.parameters())
    table = swin.layers[0].blocks[1].attn.relative_position_bias_table
    assert (table.grad.abs().sum(0) > 0).all()


@torch.no_grad()
def test_half_precision_is_near() -> None:
    swin = tiny(5).float()
    images = pictures(40, 60).float()
    with torch.autocast("cpu", torch.bfloat16):
        narrow = swin(images)
    for ours, wanted in zip(narrow, swin(images), strict=True):
        assert (ours.float() - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_other_strides_and_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"maps at strides \(8, 16, 32, 64\), wanted \(4, 8, 16, 32\)"):
        make_backbone(TINY, {"patch_size": 8, "embed_dim": 12, "num_heads": (1, 1, 1, 1)})
    with pytest.raises(ValueError, match="timm has no model 'swin_larg"):
        make_backbone("swin_larg_patch4_window12_384")
