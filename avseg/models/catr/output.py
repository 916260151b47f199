"""The output of the network for a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class CATROutput:
    """B clips of T frames, L layers of the decoder (the last one counts), Q queries a frame. Frames of a group without
    any valid frame hold zeros; in training, those without labels too."""

    query_masks: Tensor
    """(B, T, L, Q, h, w) logits at a sixteenth of the enlarged pictures' size."""
    query_scores: Tensor
    """(B, T, L, Q, 2) logits: the query is the sounding object, or it is not."""
    chosen: Tensor
    """(B, T) int64, the query that is the prediction."""
    embeddings: Tensor
    """(B, T, audio_width) of the audio network."""
    sounding_logits: Tensor | None = None
    """(B, T, K) which classes sound, where the auxiliary loss is on."""

    @property
    def logits(self) -> Tensor:
        """(B, T, 1, h, w) of the chosen queries. Choosing and enlarging commute, so that they stay small."""
        places = self.chosen[..., None, None, None].expand(*self.chosen.shape, 1, *self.query_masks.shape[-2:])
        return self.query_masks[:, :, -1].gather(2, places)


def choose(scores: Tensor, group: int | None = None) -> Tensor:
    """The query of the greatest score in each frame, or of the greatest mean score in each group of frames.

    Args:
        scores: (N, Q, 2) logits.
        group: frames of a group, group after group; None: every frame chooses by itself.

    Returns:
        (N,) int64.
    """
    probability = scores.float().softmax(-1)[..., 0]  # (N, Q)
    if group is None:
        return probability.argmax(1)
    return torch.unflatten(probability, 0, (-1, group)).mean(1).argmax(1).repeat_interleave(group)
