"""A convolution of an enlarged map, without the enlarged map."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 3


class EnlargedConvolution(nn.Module):
    """A 3x3 convolution with padding 1 of a map that was enlarged bilinearly (no aligned corners).

    Both are linear: the convolution's products with channels are taken before, at the small size, and enlarging and
    shifting, which are the same for all channels, go along columns first and along rows then. Parameters are those of
    `torch.nn.Conv2d`.
    """

    def __init__(self, entering: int, leaving: int, factor: int) -> None:
        """
        Args:
            entering: channels of the small map.
            leaving: channels of the large map.
            factor: by which height and width grow.
        """
        super().__init__()
        self.factor = factor
        plain = nn.Conv2d(entering, leaving, SIDE, padding=1)
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x: Tensor) -> Tensor:
        """(N, entering, h, w) -> (N, leaving, factor * h, factor * w)."""
        height, width = x.shape[2:]
        # (row taps, leaving, column taps) products of each small pixel
        weight = self.weight.permute(2, 0, 3, 1).flatten(0, 2)[..., None, None]
        products = torch.unflatten(F.conv2d(x, weight), 1, (SIDE, -1, SIDE))  # (N, 3, leaving, 3, h, w)
        along = taps(width, self.factor, x.device, x.dtype)  # (3 * w, W)
        columns = torch.matmul(products.permute(0, 1, 2, 4, 3, 5).flatten(4), along)  # (N, 3, leaving, h, W)
        down = taps(height, self.factor, x.device, x.dtype).T  # (H, 3 * h)
        rows = torch.matmul(down, columns.transpose(1, 2).flatten(2, 3))  # (N, leaving, H, W)
        return rows + self.bias[:, None, None] if self.bias is not None else rows


def taps(count: int, factor: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(3 * count, factor * count): what each pixel of a line, seen by each of three taps, gives each enlarged pixel."""
    return _taps(count, factor).to(device, dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept is used in training too
def _taps(count: int, factor: int) -> Tensor:
    line = torch.eye(count, dtype=torch.float64)[None]  # (1, count, count)
    large = F.interpolate(line, scale_factor=float(factor), mode="linear", align_corners=False)[0]  # (count, large)
    padded = F.pad(large, (1, 1))
    return torch.cat([padded[:, tap : tap + large.shape[1]] for tap in range(SIDE)])
