"""Dilated 3x3 convolutions, alone or side by side and summed, at the cost of the taps that meet the map.

Padding equals dilation, so that many taps of a wide branch fall on padding: of dilation 18 on a 14 x 14 map, all but
the centre. Dropping what is multiplied by zero changes no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DilatedSum(nn.Module):
    """Parallel 3x3 convolutions with padding = dilation, their outputs summed (Zhou et al. 2022, figure 3)."""

    def __init__(self, inputs: int, outputs: int, dilations: Sequence[int] = (3, 6, 12, 18)) -> None:
        super().__init__()
        branches = [nn.Conv2d(inputs, outputs, 3, padding=d, dilation=d) for d in dilations]
        for branch in branches:
            nn.init.normal_(branch.weight, std=0.01)
        self.branches = nn.ModuleList(branches)
        self.dilations = tuple(dilations)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        if x.device.type != "cpu":
            return torch.stack([branch(x) for branch in self.branches]).sum(0)
        convolutions = [branch for branch in self.branches if isinstance(branch, nn.Conv2d)]
        first, *others = (c.bias for c in convolutions if c.bias is not None)
        bias = sum(others, start=first)  # where it begins at 0, PyTorch 2.7 and 2.11 cannot export it to ONNX
        x, bias, *weights = _autocast(x, bias, *(c.weight for c in convolutions))
        total: Tensor = _SummedDilations.apply(x, bias, self.dilations, *weights)
        return total


class DilatedConv2d(nn.Conv2d):
    """One 3x3 convolution with padding = dilation: torch's in names and numbers, faster to train on the CPU.

    It pays where the kernel is wider than the map, as in an atrous pyramid on small pictures; elsewhere it is torch's.
    """

    def __init__(self, inputs: int, outputs: int, dilation: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        (dilation, _) = self.dilation
        if 2 * dilation <= min(x.shape[2:]):
            return super().forward(x)
        if x.device.type != "cpu":
            rows, columns = _taps(x, dilation)
            padding = [dilation * (rows > 1), dilation * (columns > 1)]
            return F.conv2d(x, _middle(self.weight, rows, columns), self.bias, padding=padding, dilation=dilation)
        x, bias, weight = _autocast(x, self.bias, self.weight)
        out: Tensor = _SummedDilations.apply(x, bias, (dilation,), weight)
        return out


def _autocast(*tensors: Any) -> list[Any]:
    """Return the input of a convolution on the CPU: in half precision if autocast is on."""
    if not torch.is_autocast_enabled("cpu"):
        return list(tensors)
    half = torch.get_autocast_dtype("cpu")
    return [tensor if tensor is None else tensor.to(half) for tensor in tensors]


class _SummedDilations(torch.autograd.Function):
    """On the CPU, where whole branches shrink to their centre and oneDNN takes a slow way back for wide dilations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, dilations: tuple[int, ...], *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, *weights)
        ctx.dilations = dilations
        total: Tensor | None = None
        for weight, dilation in zip(weights, dilations, strict=True):
            rows, columns = _taps(x, dilation)
            padding = [dilation * (rows > 1), dilation * (columns > 1)]
            kernel = _middle(weight, rows, columns)
            out = F.conv2d(x, kernel, bias if total is None else None, padding=padding, dilation=dilation)
            total = out if total is None else total.add_(out)
        assert total is not None
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        x, *weights = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        for_x: Tensor | None = None
        for_weights: list[Tensor | None] = []
        for index, (weight, dilation) in enumerate(zip(weights, ctx.dilations, strict=True)):
            if ctx.needs_input_grad[0]:
                out = _input_gradient(gradient, x, weight, dilation)
                for_x = out if for_x is None else for_x.add_(out)
            wanted = ctx.needs_input_grad[3 + index]
            for_weights.append(_weight_gradient(gradient, x, weight, dilation) if wanted else None)
        for_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[1] else None
        return for_x, for_bias, None, *for_weights


def _taps(x: Tensor, dilation: int) -> tuple[int, int]:
    """Rows and columns of a 3x3 kernel that meet the map anywhere: 1 or 3 each."""
    return 3 if dilation < x.shape[2] else 1, 3 if dilation < x.shape[3] else 1


def _middle(weight: Tensor, rows: int, columns: int) -> Tensor:
    """(O, I, 3, 3) -> (O, I, rows, columns) around the centre."""
    kernel = weight[:, :, (3 - rows) // 2 : (3 + rows) // 2, (3 - columns) // 2 : (3 + columns) // 2]
    return kernel.contiguous(memory_format=torch.channels_last)


def _input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    rows, columns = _taps(x, dilation)
    padding = [dilation * (rows > 1), dilation * (columns > 1)]
    kernel = _middle(weight, rows, columns)
    result: Tensor = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [1, 1], padding, [dilation] * 2, False, [0, 0], 1, [True, False, False]
    )[0]
    return result


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    height, width = x.shape[2:]
    if 2 * dilation <= min(height, width):
        result: Tensor = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], [dilation] * 2, [dilation] * 2, False, [0, 0], 1, [False, True, False]
        )[1]
        return result
    result = torch.zeros_like(weight)
    for row in range(3):
        for column in range(3):
            down, right = (row - 1) * dilation, (column - 1) * dilation
            if abs(down) < height and abs(right) < width:
                seen = _rows(_cut(x, down, right))  # (pixels, I)
                result[:, :, row, column] = _rows(_cut(gradient, -down, -right)).T @ seen
    return result


def _cut(maps: Tensor, down: int, right: int) -> Tensor:
    """The part of a map that is still on it after a step `down` and `right`."""
    height, width = maps.shape[2:]
    return maps[:, :, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]


def _rows(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N * h * w, C)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
