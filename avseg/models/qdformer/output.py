"""The output of the network for a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from avseg.nn.quantizer import Coded


@dataclass(frozen=True, eq=False)
class QueryPrediction:
    """The output of one layer of the object decoder for B clips of T frames; zeros for padding frames.

    Q queries a frame: those of token i have the places i * m to i * m + m - 1 (m = `queries_per_token`).
    """

    class_logits: Tensor
    """(B, T, Q, M): M classes, background not among them; 1 for binary tasks."""
    boxes: Tensor
    """(B, T, Q, 4): centre x, centre y, width, height as shares of the picture."""
    mask_logits: Tensor
    """(B, T, Q, h, w) at a quarter of the pictures' size."""


@dataclass(frozen=True, eq=False)
class QDFormerOutput:
    """The output of the network for B clips of T frames."""

    layers: list[QueryPrediction]
    """After each layer of the object decoder while training, after the last one otherwise; the last one counts."""
    valid: Tensor
    """(B, T) bool, the frames that exist."""
    sizes: tuple[int, int]
    """(H, W) of the pictures as the network saw them."""
    clip_tokens: Coded
    """(B, N, C) of the clips: before and after quantisation. Without decomposition N = 1, the mean of the sound."""
    frame_tokens: Coded | None
    """(B, T, N, C) of the frames; None where the clip's tokens serve every frame. Zeros on frames that do not exist."""
    sounding_logits: Tensor | None = None
    """(B, T, K) which classes the sound of each second is of, where the loss for it is on."""

    @property
    def class_logits(self) -> Tensor:
        """(B, T, Q, M) of the last layer."""
        return self.layers[-1].class_logits

    @property
    def mask_logits(self) -> Tensor:
        """(B, T, Q, h, w) of the last layer."""
        return self.layers[-1].mask_logits
