"""From object queries to maps: one probability a pixel, or one score a class.

What comes out are logits, so that a prediction is sized as those of other families are: log-odds of binary
probabilities, and logarithms of the scores of background and classes, whose arg-max is the label.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32
from avseg.models.qdformer.config import AssemblyConfig

LEAST = 1e-6
"""Probabilities below it, and beyond one minus it, are told as it, so that their logarithms are finite."""
_NONE = math.log(LEAST) - math.log1p(-LEAST)


def binary_logits(class_logits: Tensor, mask_logits: Tensor, config: AssemblyConfig) -> Tensor:
    """Log-odds (T, 1, h, w) of what sounds in a clip.

    A query's score is its mean class probability over the clip. `merge` "top" shows the mask of the query of the best
    score; "max" the highest product of score and mask probability at each pixel, and "noisy_or" one minus the product
    of one minus them. The gate empties a query's mask on the frames where its class probability is not above it.

    Args:
        class_logits: (T, Q, 1) of the frames that exist.
        mask_logits: (T, Q, h, w).
        config: gate and merge.
    """
    probability = at_least_float32(class_logits)[..., 0].sigmoid()  # (T, Q)
    masks, scores = at_least_float32(mask_logits), probability.mean(0)  # (T, Q, h, w) and (Q,)
    shut = torch.zeros_like(probability, dtype=torch.bool) if config.gate is None else probability <= config.gate
    if config.merge == "top":
        best = int(scores.argmax())
        return torch.where(shut[:, best, None, None], _NONE, masks[:, best])[:, None]
    parts = masks.sigmoid() * (scores * ~shut)[..., None, None]
    merged = parts.amax(1) if config.merge == "max" else 1 - (1 - parts).prod(1)
    return torch.logit(merged, LEAST)[:, None]


def semantic_logits(class_logits: Tensor, mask_logits: Tensor, config: AssemblyConfig) -> Tensor:
    """Logarithms (T, M + 1, h, w) of the scores of background and classes in a clip.

    The score of a class is the highest product of class and mask probability of all queries, or their sum; that of the
    background is one minus the highest score, or fixed. None is told as less than `LEAST`.

    Args:
        class_logits: (T, Q, M) of the frames that exist.
        mask_logits: (T, Q, h, w).
        config: reduce and background.
    """
    classes, masks = at_least_float32(class_logits), at_least_float32(mask_logits)
    if config.reduce == "sum":
        scores = torch.einsum("tqm,tqhw->tmhw", classes.sigmoid(), masks.sigmoid())
    else:
        log_classes, log_masks = F.logsigmoid(classes), F.logsigmoid(masks)
        # One query after the other: all products of queries and classes together are seventy times the masks.
        highest = log_classes[:, 0, :, None, None] + log_masks[:, 0, None]
        for query in range(1, masks.shape[1]):
            highest = torch.maximum(highest, log_classes[:, query, :, None, None] + log_masks[:, query, None])
        scores = highest.exp()
    if config.background is None:
        background = 1 - scores.amax(1, keepdim=True)
    else:
        background = torch.full_like(scores[:, :1], config.background)
    return torch.cat([background, scores], 1).clamp(min=LEAST).log()
