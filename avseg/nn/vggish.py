"""VGGish (Hershey et al. 2017): a log-mel picture of 0.96 s of sound to an embedding of 128 numbers."""

from __future__ import annotations

from torch import Tensor, nn

EMBEDDING = 128


class VGGish(nn.Module):
    """The published audio network: six convolutions and three linear layers, 72,141,184 parameters.

    The last layer has a ReLU too, so that embeddings are not negative. Keys are those of `vggish-10086976.pth`.
    Another width has a last layer of its own, which begins Kaiming-normal and without bias, as published for CAVP.
    """

    def __init__(self, width: int = EMBEDDING) -> None:
        """
        Args:
            width: of the embedding; the published weights have 128.
        """
        super().__init__()
        self.features = nn.Sequential(*_convolutions())
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            last := nn.Linear(4096, width),
            nn.ReLU(inplace=True),
        )
        if width != EMBEDDING:
            nn.init.kaiming_normal_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(N, 1, 96, 64) -> (N, width)."""
        check_log_mel(log_mel, 1)
        maps = self.features(log_mel)  # (N, 512, 6, 4)
        # The linear layers were trained on channels-last maps.
        embedding: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embedding


def check_log_mel(log_mel: Tensor, channels: int, frames: int | None = 96) -> None:
    """One clear sentence where an audio network gets something else than its log-mel pictures.

    Args:
        log_mel: (N, channels, L, 64).
        channels: of sound that the network hears.
        frames: L that it wants; None: any number.

    Raises:
        ValueError: another shape.
    """
    shape = tuple(log_mel.shape)
    length = frames or (shape[2] if len(shape) == 4 and shape[2] > 0 else -1)
    if shape[1:] != (channels, length, 64):
        advice = f"cut windows that give {frames} frames" if frames else "the front ends in avseg.nn make them"
        raise ValueError(f"log-mel pictures have shape {shape}, wanted (N, {channels}, {frames or 'L'}, 64); {advice}")


def _convolutions() -> list[nn.Module]:
    layers: list[nn.Module] = []
    entering = 1
    for stage in ((64,), (128,), (256, 256), (512, 512)):
        for width in stage:
            layers += [nn.Conv2d(entering, width, 3, padding=1), nn.ReLU(inplace=True)]
            entering = width
        layers.append(nn.MaxPool2d(2, 2))
    return layers
