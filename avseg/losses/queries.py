"""Losses and costs of object queries with classes, boxes and masks (Wang et al. 2021).

Costs are of every query with every target; losses are of pairs. Focal terms are those of Lin et al. (2017), dice terms
those of `avseg.losses.sets`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32
from avseg.nn.boxes import corners, generalised_iou


def focal_terms(logits: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> tuple[Tensor, Tensor]:
    """Return the loss of a logit with probability p for a target of 1 and for a target of 0.

    alpha (1 - p)^gamma (-log p) and (1 - alpha) p^gamma (-log(1 - p)), both of the logits' shape. Logarithms and powers
    are taken of the logit, so that saturated ones have finite values and gradients.
    """
    logits = at_least_float32(logits)
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    return -alpha * torch.exp(gamma * log_q) * log_p, -(1 - alpha) * torch.exp(gamma * log_p) * log_q


def focal_loss(logits: Tensor, truth: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """The focal term of each logit, of the logits' shape. `truth` (bool, the same shape) says which are positive."""
    positive, negative = focal_terms(logits, alpha, gamma)
    return torch.where(truth, positive, negative)


def mask_focal_loss(logits: Tensor, truth: Tensor, counted: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """The mean focal term of each mask's pixels: (M,), 0 where none counts.

    Args:
        logits: (M, P).
        truth: (M, P) bool.
        counted: (M, P) of 0 and 1, the pixels that count.
        alpha: the weight of positives.
        gamma: how little well classified pixels count.
    """
    terms = focal_loss(logits, truth, alpha, gamma)
    return (terms * counted).sum(1) / counted.sum(1).clamp(min=1)


def mask_focal_costs(logits: Tensor, truth: Tensor, counted: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """`mask_focal_loss` of every query with every target: (G, Q, J).

    Args:
        logits: (G, Q, P).
        truth: (G, J, P) bool.
        counted: (G, P) of 0 and 1, the pixels that count.
        alpha: the weight of positives.
        gamma: how little well classified pixels count.
    """
    positive, negative = focal_terms(logits, alpha, gamma)
    counted = counted[:, None].to(positive.dtype)
    there = (truth.to(positive.dtype) * counted).mT  # (G, P, J)
    # The sum over all pixels as if none were positive, corrected where some are: one product of matrices for all pairs.
    total = (positive - negative) @ there + (negative * counted).sum(2, keepdim=True)
    return total / counted.sum(2, keepdim=True).clamp(min=1)


def class_focal_costs(
    logits: Tensor, classes: Tensor, shown: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Return the matching cost of queries and targets: (G, Q, J).

    The term of a positive minus that of a negative for the target's class, the mean over the frames that show it; 0
    where none does.

    Args:
        logits: (G, T, Q, M).
        classes: (G, J) int64 in 0..M - 1.
        shown: (G, J, T) bool, the frames that show a target.
        alpha: the weight of positives.
        gamma: how little well classified frames count.
    """
    positive, negative = focal_terms(logits, alpha, gamma)
    chosen = classes[:, None, None].expand(-1, logits.shape[1], logits.shape[2], -1)  # (G, T, Q, J)
    return _over_shown((positive - negative).gather(3, chosen), shown)


def box_costs(boxes: Tensor, truth: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """L1 distance of boxes, and minus their generalised IoU: (G, Q, J) twice, each the mean over the frames that show
    a target; 0 where none does.

    Args:
        boxes: (G, T, Q, 4) centre x, centre y, width, height.
        truth: (G, J, T, 4), the same.
        shown: (G, J, T) bool.
    """
    own, wanted = at_least_float32(boxes)[:, :, :, None], truth.transpose(1, 2)[:, :, None]  # (G, T, Q | 1, 1 | J, 4)
    distance = (own - wanted).abs().sum(-1)  # (G, T, Q, J)
    overlap = generalised_iou(corners(own), corners(wanted))
    return _over_shown(distance, shown), _over_shown(-overlap, shown)


def box_losses(boxes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """L1 distance of each pair of boxes, and one minus their generalised IoU: (V,) twice.

    Args:
        boxes: (V, 4) centre x, centre y, width, height.
        truth: (V, 4), the same.
    """
    boxes = at_least_float32(boxes)
    return (boxes - truth).abs().sum(-1), 1 - generalised_iou(corners(boxes), corners(truth))


def _over_shown(terms: Tensor, shown: Tensor) -> Tensor:
    """(G, T, Q, J) terms -> (G, Q, J), the mean over the frames (G, J, T) that show a target."""
    counts = shown.transpose(1, 2)[:, :, None]  # (G, T, 1, J)
    # Frames that do not count may hold anything, what is not finite as well.
    return torch.where(counts, terms, 0).sum(1) / counts.sum(1).clamp(min=1)
