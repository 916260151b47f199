"""The compact output for a batch; masks are computed on request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import sent
from avseg.models.avism.detector import FramePrediction
from avseg.models.avism.video import ClipPrediction, Watched
from avseg.nn.frames import spread


@dataclass(frozen=True, eq=False)
class AVISMOutput:
    """Output for B clips of T frames, M of which exist. L is 1, and more while training."""

    clips: list[ClipPrediction]
    """After each layer of the clip decoder, (L, B, ...); the last one counts, and of it the last of L."""
    clip_features: Tensor
    """(B, T, D, h, w), zero on frames that do not exist."""
    frame_predictions: list[FramePrediction]
    """(M, ...) of the frames that exist: while training before the first layer of the frame decoder and after each;
    otherwise after the last."""
    valid: Tensor
    """(B, T) bool, the frames that exist."""
    sizes: Tensor
    """(B, 2) int64 (H, W) of the pictures as the network saw them, without padding."""
    frame_similarity: Tensor | None = None
    """(L, B, T, fQ, D), while training."""
    clip_similarity: Tensor | None = None
    """(L, B, Q, D), while training."""
    sounding_logits: Tensor | None = None
    """(B, T, K) which classes the sound of each second is of, where the loss for it is on."""

    @property
    def class_logits(self) -> Tensor:
        """(B, Q, K + 1) of the clip queries, "no object" last."""
        return self.clips[-1].class_logits[-1]

    @property
    def mask_embeddings(self) -> Tensor:
        """(B, Q, D) of the clip queries."""
        return self.clips[-1].mask_embeddings[-1]

    @property
    def mask_logits(self) -> Tensor:
        """(B, Q, T, h, w) of the clip queries, at a quarter of the padded pictures' size; formed at every call."""
        return torch.einsum("bqd,btdhw->bqthw", self.mask_embeddings, self.clip_features)

    @property
    def padded(self) -> tuple[int, int]:
        """(H, W) of the padded pictures."""
        return 4 * self.clip_features.shape[-2], 4 * self.clip_features.shape[-1]

    @property
    def frames(self) -> FramePrediction:
        """The frame queries': (B, T, fQ, K + 1) and (B, T, fQ, h, w), zero on frames that do not exist."""
        last = self.frame_predictions[-1]
        return FramePrediction(spread(last.class_logits, self.valid), spread(last.mask_logits, self.valid))


def joined(parts: list[Watched], clips: list[list[int]], frames: int) -> Watched:
    """Join outputs of several batches into one.

    Args:
        parts: of clips of different lengths.
        clips: the clips of each part.
        frames: to which the embeddings of frame queries are filled up.
    """
    if len(parts) == 1:
        return parts[0]
    order = torch.tensor([clip for part in clips for clip in part]).argsort()

    def together(tensors: list[Tensor]) -> Tensor:
        return torch.cat(tensors, 1)[:, sent(order, tensors[0].device)]

    predictions = [
        ClipPrediction(together([p.class_logits for p in same]), together([p.mask_embeddings for p in same]))
        for same in zip(*(part.predictions for part in parts), strict=True)
    ]
    whole = Watched(predictions)
    of_frames = [p.frame_similarity for p in parts if p.frame_similarity is not None]
    of_clips = [p.clip_similarity for p in parts if p.clip_similarity is not None]
    if of_frames and of_clips:
        filled = [F.pad(x, (0, 0, 0, 0, 0, frames - x.shape[2])) for x in of_frames]
        whole = replace(whole, frame_similarity=together(filled), clip_similarity=together(of_clips))
    return whole
