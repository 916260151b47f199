"""Heads of object queries: classes and masks; boxes are part of the decoder, which refines them."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.dynamic_masks import dynamic_masks, parameter_count

PRIOR = 0.01
"""Probability of every class at first."""


class Head(nn.Module):
    """Linear maps with ReLUs between them, all but the last of one width."""

    def __init__(self, width: int, leaving: int, layers: int) -> None:
        """
        Args:
            width: channels that come in.
            leaving: channels that come out.
            layers: linear maps.
        """
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.last = nn.Linear(width, leaving)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., leaving)."""
        for layer in self.layers:
            x = F.relu(layer(x))
        out: Tensor = self.last(x)
        return out


def class_head(width: int, classes: int, layers: int) -> Head:
    """Log-odds of each class, at first those of `PRIOR`, so that the many empty queries do not outweigh the others."""
    head = Head(width, classes, layers)
    nn.init.constant_(head.last.bias, -math.log((1 - PRIOR) / PRIOR))
    return head


class MaskHead(nn.Module):
    """Every query's own three small convolutions over the frame's features and the way to the query's place."""

    def __init__(self, width: int, channels: int, unit: float) -> None:
        """
        Args:
            width: of queries and features.
            channels: inner channels of the convolutions.
            unit: pixels by which relative coordinates are divided.
        """
        super().__init__()
        self.channels, self.unit = channels, unit
        self.controller = Head(width, parameter_count(width, channels), 3)
        for linear in (*self.controller.layers, self.controller.last):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, queries: Tensor, centres: Tensor, features: Tensor, size: tuple[int, int]) -> Tensor:
        """
        Args:
            queries: (M, Q, C).
            centres: (M, Q, 2), places of the queries: x and y as shares of the picture.
            features: (M, C, h, w) at stride 4.
            size: (H, W) of the pictures.

        Returns:
            (M, Q, h, w) logits.
        """
        parameters = self.controller(queries)
        return dynamic_masks(features, parameters, centres, inner=self.channels, unit=self.unit, size=size)
