"""Maps of a backbone in one width at four scales."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

LEVELS = 4
"""Strides 8, 16, 32 and 64."""
PER_GROUP = 8
"""Channels that group normalisation takes together: at width 256 the published 32 groups."""


class Projections(nn.Module):
    """The three coarse maps of a backbone in width C, and a fourth of half the size of the coarsest."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """
        Args:
            channels: of the backbone's maps at strides 8, 16, 32.
            width: C.

        Raises:
            ValueError: a width that the norms' groups do not divide.
        """
        super().__init__()
        self.each = nn.ModuleList(nn.Conv2d(entering, width, 1) for entering in channels)
        self.halve = nn.Conv2d(channels[-1], width, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(group_norm(width) for _ in range(LEVELS))
        for convolution in (*self.each, self.halve):
            nn.init.xavier_uniform_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (M, C_i, h_i, w_i) at strides 8, 16, 32 -> four (M, C, ...) at strides 8, 16, 32, 64."""
        projected = [project(map_) for project, map_ in zip(self.each, maps, strict=True)]
        projected.append(self.halve(maps[-1]))
        return [norm(map_) for norm, map_ in zip(self.norms, projected, strict=True)]


def group_norm(width: int) -> nn.GroupNorm:
    """Group normalisation with `PER_GROUP` channels per group.

    Raises:
        ValueError: a width that is no multiple of them.
    """
    if width % PER_GROUP:
        raise ValueError(f"width {width}; wanted a multiple of {PER_GROUP}, the channels of a norm's group")
    return nn.GroupNorm(width // PER_GROUP, width)
