"""ResNet-18 as an audio network: log-mel pictures of any length, mono or stereo, to embeddings."""

from __future__ import annotations

from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor

from avseg.nn.vggish import check_log_mel


class AudioResNet18(ResNet):  # type: ignore[misc]
    """ResNet-18 with a 7x7 stem for `in_channels`, global max pooling and a linear layer, without a last activation.

    Keys are torchvision's and timm's; of ImageNet weights, `conv1.weight` and `fc.*` do not fit.
    """

    def __init__(self, width: int = 304, in_channels: int = 1) -> None:
        """
        Args:
            width: of the embedding.
            in_channels: 1 for mono, 2 for left and right.
        """
        super().__init__(BasicBlock, (2, 2, 2, 2), width, in_channels, global_pool="max", zero_init_last=False)
        self.in_channels = in_channels

    def forward(self, log_mel: Tensor) -> Tensor:
        """(N, in_channels, L, 64) -> (N, width), L any number of frames."""
        check_log_mel(log_mel, self.in_channels, frames=None)
        embedding: Tensor = super().forward(log_mel)
        return embedding
