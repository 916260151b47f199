"""A convolution of an enlarged map against one that has the enlarged map."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from avseg.nn.enlarged import EnlargedConvolution


@pytest.mark.parametrize(("size", "factor"), [((5, 7), 4), ((1, 3), 4), ((6, 4), 2), ((2, 1), 3)])
def test_it_is_the_convolution_of_the_enlarged_map(size: tuple[int, int], factor: int) -> None:
    torch.manual_seed(0)
    layer = EnlargedConvolution(6, 5, factor).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    large = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    wanted = F.conv2d(large, layer.weight, layer.bias, padding=1)
    got = layer(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(got, wanted, atol=1e-12)
    seed = torch.randn_like(wanted)
    for mine, theirs in zip(
        torch.autograd.grad((got * seed).sum(), (x, layer.weight, layer.bias)),
        torch.autograd.grad((wanted * seed).sum(), (x, layer.weight, layer.bias)),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, atol=1e-11)


def test_its_parameters_are_those_of_a_convolution() -> None:
    torch.nn.Conv2d(6, 5, 3).load_state_dict(EnlargedConvolution(6, 5, 4).state_dict())
