"""The neck against the plain sum of its convolutions, and one of them alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avseg.nn.dilated import DilatedConv2d, DilatedSum


def plain(neck: DilatedSum, x: Tensor) -> Tensor:
    return torch.stack([branch(x) for branch in neck.branches]).sum(0)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (7, 7), (14, 14), (5, 19), (20, 6), (24, 24)])
def test_equals_the_plain_sum_with_all_gradients(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    neck = DilatedSum(4, 3).double().to(memory_format=torch.channels_last)
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    leaves = [x, *neck.parameters()]
    ours, expected = neck(x), plain(neck, x)
    seed = torch.randn_like(expected)
    assert torch.allclose(ours, expected, atol=1e-12)
    for a, b in zip(torch.autograd.grad(ours, leaves, seed), torch.autograd.grad(expected, leaves, seed), strict=True):
        assert torch.allclose(a, b, atol=1e-11)


def test_four_convolutions_are_kept_by_name() -> None:
    names = set(DilatedSum(4, 3).state_dict())
    assert names == {f"branches.{i}.{part}" for i in range(4) for part in ("weight", "bias")}


def test_frozen_weights_and_inputs_get_no_gradient() -> None:
    neck = DilatedSum(4, 3)
    neck.branches[1].requires_grad_(False)
    neck(torch.randn(1, 4, 8, 8)).sum().backward()
    assert neck.branches[1].weight.grad is None
    assert neck.branches[0].weight.grad is not None and neck.branches[3].bias.grad is not None


def test_works_under_bfloat16_autocast() -> None:
    neck = DilatedSum(4, 3)
    x = torch.randn(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        half = neck(x)
    assert half.dtype == torch.bfloat16 and torch.allclose(half.float(), neck(x), atol=2e-2)
    half.float().square().sum().backward()
    found = [parameter.grad for parameter in neck.parameters()]
    neck.zero_grad()
    neck(x).square().sum().backward()
    for gradient, parameter in zip(found, neck.parameters(), strict=True):
        assert gradient is not None and parameter.grad is not None and gradient.dtype == torch.float32
        assert torch.allclose(gradient, parameter.grad, atol=0.05 * float(parameter.grad.abs().max()))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dilation", [2, 6, 12, 18])
@pytest.mark.parametrize("size", [(1, 1), (14, 14), (5, 19), (28, 28)])
def test_one_convolution_equals_torch_with_all_gradients(size: tuple[int, int], dilation: int, bias: bool) -> None:
    torch.manual_seed(0)
    ours = DilatedConv2d(4, 3, dilation, bias=bias).double()
    expected = torch.nn.Conv2d(4, 3, 3, padding=dilation, dilation=dilation, bias=bias).double()
    expected.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    seed = torch.randn(2, 3, *size, dtype=torch.float64)
    assert torch.allclose(ours(x), expected(x), atol=1e-12)
    gradients = torch.autograd.grad(ours(x), [x, *ours.parameters()], seed)
    for a, b in zip(gradients, torch.autograd.grad(expected(x), [x, *expected.parameters()], seed), strict=True):
        assert torch.allclose(a, b, atol=1e-11)


@pytest.mark.parametrize("dilation", [2, 6, 12])
def test_one_convolution_under_autocast_keeps_only_taps_on_the_map(dilation: int) -> None:
    torch.manual_seed(0)
    ours = DilatedConv2d(4, 3, dilation)
    x = torch.randn(1, 4, 8, 10)
    with torch.autocast("cpu", torch.bfloat16):
        half = ours(x)
    assert half.dtype == torch.bfloat16 and torch.allclose(half.float(), ours(x), atol=3e-2)
    half.sum().backward()
    gradient = ours.weight.grad
    assert gradient is not None and gradient.shape == ours.weight.shape
    assert bool(gradient[:, :, 0].any()) == (dilation < 8)
