"""A small audio network to train from scratch, without the 288 MB of VGGish."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from avseg.nn.vggish import check_log_mel


class SmallAudioNet(nn.Module):
    """Log-mel pictures to embeddings by strided convolutions with BatchNorm; about 0.18 M parameters by default.

    Time is summed up by mean and maximum, since a sound may fill a window or only touch it; frequency is kept, since
    what tells two timbres apart lies there.
    """

    def __init__(self, width: int = 128, channels: Sequence[int] = (16, 32, 64, 96), in_channels: int = 1) -> None:
        """
        Args:
            width: of the embedding.
            channels: of the stages, each of which halves its picture.
            in_channels: 1 for mono, 2 for left and right.

        Raises:
            ValueError: no stages, or more than six.
        """
        super().__init__()
        if len(channels) > 6 or not channels:
            raise ValueError(
                f"{len(channels)} stages of a small audio network, wanted 1 to 6; each halves its picture, 64 bins high"
            )
        self.in_channels = in_channels
        self.norm = nn.BatchNorm2d(in_channels)
        self.stages = nn.Sequential(*(_stage(a, b) for a, b in pairwise([in_channels, *channels])))
        bins = -(-64 // 2 ** len(channels))
        self.project = nn.Linear(2 * channels[-1] * bins, width)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(N, in_channels, L, 64) -> (N, width), L any number of frames."""
        check_log_mel(log_mel, self.in_channels, frames=None)
        maps = self.stages(self.norm(log_mel))  # (N, C, l, m)
        summed_up = torch.cat([maps.mean(2), maps.amax(2)], 1).flatten(1)  # (N, 2 * C * m)
        embedding: Tensor = self.project(summed_up)
        return embedding


def _stage(entering: int, leaving: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU(inplace=True),
    )
