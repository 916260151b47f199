"""The training criterion of CATR: one query per clip is the sounding object, the others are not.

Formulas are in docs/reference/losses.md. Everything is taken in float32. Frames without labels take no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import on_host, sent
from avseg.losses.dense import at_least_float32
from avseg.losses.matching import over_workers
from avseg.losses.queries import mask_focal_loss
from avseg.losses.sets import dice_costs, dice_loss
from avseg.models.catr.config import CATRLossConfig
from avseg.models.dense import sized
from avseg.types import IGNORE


@dataclass(frozen=True, eq=False)
class ClipQueries:
    """The outputs for the M labelled frames of B clips, and their ground truth."""

    masks: Tensor
    """(M, L, Q, h, w) logits."""
    scores: Tensor
    """(M, L, Q, 2) logits."""
    clip: Tensor
    """(M,) int64, the clip of each frame."""
    labels: Tensor
    """(M, H, W); foreground where positive and not 255, which is not judged."""

    @property
    def truth(self) -> Tensor:
        """(M, H * W) bool."""
        return ((self.labels > 0) & (self.labels != IGNORE)).flatten(1)

    @property
    def counted(self) -> Tensor:
        """(M, H * W) of 0 and 1, the pixels that are judged."""
        return (self.labels != IGNORE).flatten(1).float()

    def whole(self, masks: Tensor) -> Tensor:
        """(M, K, h, w) -> (M, K, H * W), at the size of the labels."""
        return sized(masks, (self.labels.shape[-2], self.labels.shape[-1])).flatten(2)


def matched(said: ClipQueries, layer: int, clips: int, config: CATRLossConfig) -> Tensor:
    """The query of least cost for each clip, the same in all of its frames: (B,) int64.

    Its cost is the mean over the clip's labelled frames of minus the weighted score and Dice coefficient.
    """
    with torch.no_grad():
        logits, truth, counted = said.whole(said.masks[:, layer]), said.truth[:, None], said.counted
        dice = dice_costs(logits, truth, counted)[..., 0] - 1  # (M, Q)
        score = -at_least_float32(said.scores[:, layer]).softmax(-1)[..., 0]
        cost = config.cost_score * score + config.cost_dice * dice
        total = cost.new_zeros(clips, cost.shape[1]).index_add_(0, said.clip, cost)
        frames = sent(on_host(said.clip).bincount(minlength=clips).clamp(min=1), cost.device)
        # What is not finite must not win; the losses then show it.
        return torch.nan_to_num(total / frames[:, None], nan=1e9).argmin(1)


def terms(said: ClipQueries, clips: int, config: CATRLossConfig, training: bool) -> dict[str, Tensor]:
    """`score`, `dice`, `focal` and `bce`, each summed over the layers and weighted; zeros where no frame is labelled.

    Args:
        said: of the labelled frames.
        clips: B.
        config: weights.
        training: Several processes count their labelled frames together.
    """
    count = over_workers(said.clip.new_full((), len(said.clip)), training)
    truth, counted = said.truth, said.counted
    total: dict[str, Tensor] = {}
    for layer in range(said.masks.shape[1]):
        query = matched(said, layer, clips, config)[said.clip]  # (M,)
        frames = torch.arange(len(query), device=query.device)
        logits = said.whole(said.masks[frames, layer, query][:, None])[:, 0]  # (M, H * W)
        found = {
            "score": config.score * _score_loss(said.scores[:, layer], query, config.no_object).sum(),
            "dice": config.dice * dice_loss(logits, truth, counted).sum(),
            "focal": config.focal * mask_focal_loss(logits, truth, counted).sum(),
            "bce": config.bce * _mask_bce(logits, truth, counted, config.bce_space == "probability").sum(),
        }
        total = {name: term + total[name] if name in total else term for name, term in found.items()}
    return {name: term / count for name, term in total.items()}


def _score_loss(scores: Tensor, query: Tensor, no_object: float) -> Tensor:
    """Cross-entropy of each frame, the sum over its queries: (M,) of (M, Q, 2) logits; `query` (M,) is the object."""
    said = at_least_float32(scores).log_softmax(-1)
    others = said[..., 1].sum(1) - said[..., 1].gather(1, query[:, None])[:, 0]
    return -said[..., 0].gather(1, query[:, None])[:, 0] - no_object * others


def _mask_bce(logits: Tensor, truth: Tensor, counted: Tensor, twice: bool) -> Tensor:
    """Binary cross-entropy, the mean over each mask's pixels: (M,). `twice`: of probabilities taken for logits."""
    logits = at_least_float32(logits)
    pixels = F.binary_cross_entropy_with_logits(
        logits.sigmoid() if twice else logits, truth.to(logits.dtype), reduction="none"
    )
    return (pixels * counted).sum(1) / counted.sum(1).clamp(min=1)
