"""From object queries to maps: one probability a pixel, or one score a class.

What comes out are logits at the size of the pictures, so that a prediction is sized as those of other families are:
log-odds of binary probabilities, and logarithms of the scores of background and classes, whose arg-max is the label.
Maps come from a quarter of that size as probabilities: between a pixel of 1 and one of 0 the border lies in the middle,
where that between two logits lies nearer to the one that is less sure.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32
from avseg.models.qdformer.config import AssemblyConfig

LEAST = 1e-6
"""Bound of probabilities, from it to one minus it, so that their logarithms are finite."""


def binary_logits(class_logits: Tensor, mask_logits: Tensor, size: tuple[int, int], config: AssemblyConfig) -> Tensor:
    """Return log-odds (T, 1, H, W) of sounding pixels in a clip.

    A query's score is its mean class probability over the clip. `merge` "top" shows the mask of the query of the best
    score; "max" the highest product of score and mask probability at each pixel, and "noisy_or" one minus the product
    of one minus them. The gate empties a query's mask on the frames where its class probability is not above it.

    Args:
        class_logits: (T, Q, 1) of the frames that exist.
        mask_logits: (T, Q, h, w).
        size: (H, W).
        config: gate and merge.
    """
    probability = at_least_float32(class_logits)[..., 0].sigmoid()  # (T, Q)
    masks, scores = at_least_float32(mask_logits).sigmoid(), probability.mean(0)  # (T, Q, h, w) and (Q,)
    if config.gate is not None:
        masks = masks * (probability > config.gate)[..., None, None]
    if config.merge == "top":
        merged = masks[:, scores.argmax()]
    else:
        parts = masks * scores[:, None, None]
        merged = parts.amax(1) if config.merge == "max" else 1 - (1 - parts).prod(1)
    return torch.logit(_sized(merged[:, None], size), LEAST)


def semantic_logits(class_logits: Tensor, mask_logits: Tensor, size: tuple[int, int], config: AssemblyConfig) -> Tensor:
    """Logarithms (T, M + 1, H, W) of the scores of background and classes in a clip.

    The score of a class is the highest product of class and mask probability of all queries, or their sum; that of the
    background is one minus the highest score, or fixed. None is told as less than `LEAST`.

    Args:
        class_logits: (T, Q, M) of the frames that exist.
        mask_logits: (T, Q, h, w).
        size: (H, W).
        config: reduce and background.
    """
    classes, masks = at_least_float32(class_logits).sigmoid(), at_least_float32(mask_logits).sigmoid()
    if config.reduce == "sum":
        scores = torch.einsum("tqm,tqhw->tmhw", classes, masks)
    else:
        scores = classes[:, 0, :, None, None] * masks[:, 0, None]
        # One query after the other: all products of queries and classes at once would be as many times as large.
        for query in range(1, masks.shape[1]):
            scores = torch.maximum(scores, classes[:, query, :, None, None] * masks[:, query, None])
    if config.background is None:
        background = 1 - scores.amax(1, keepdim=True)
    else:
        background = torch.full_like(scores[:, :1], config.background)
    return _sized(torch.cat([background, scores], 1), size).clamp(min=LEAST).log()


def _sized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(T, C, h, w) -> (T, C, H, W), bilinear."""
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
