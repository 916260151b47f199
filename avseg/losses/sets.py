"""Losses and costs of predicted sets of masks (Cheng et al. 2022); masks are compared at points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.dense import at_least_float32


def set_class_loss(logits: Tensor, labels: Tensor, no_object_weight: float = 0.1) -> Tensor:
    """Cross-entropy of the classes of all queries, those without an object counting less.

    The mean is weighted: sum of w_i * CE_i over sum of w_i, with w = `no_object_weight` where the label is "no object".

    Args:
        logits: (G, Q, K + 1), the last one "no object".
        labels: (G, Q) int64 in 0..K.
        no_object_weight: 0 or more.

    Returns:
        A scalar, float32 or wider; 0 of nothing.
    """
    logits = at_least_float32(logits)
    weight = logits.new_ones(logits.shape[-1])
    weight[-1] = no_object_weight
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight, reduction="sum")
    # Nothing that counts is 0 / 0 otherwise.
    return total / weight[labels].sum().clamp(min=torch.finfo(logits.dtype).tiny)


def point_loss(logits: Tensor, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return the binary cross-entropy of masks, the mean over the points of each mask: (M,).

    Args:
        logits: (M, P).
        truth: (M, P) from 0 to 1.
        counted: (M, P) of 0 and 1, the points that count; None: all.
    """
    logits = at_least_float32(logits)
    terms = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    if counted is None:
        return terms.mean(1)
    return (terms * counted).sum(1) / counted.sum(1).clamp(min=1)


def dice_loss(logits: Tensor, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1) over each mask's points, p the probability: (M,).

    Arguments as for `point_loss`.
    """
    probability = at_least_float32(logits).sigmoid()
    truth = truth.to(probability.dtype)
    if counted is not None:
        probability, truth = probability * counted, truth * counted
    both = (probability * truth).sum(1)
    return 1 - (2 * both + 1) / (probability.sum(1) + truth.sum(1) + 1)


def class_costs(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the probability that a query gives to an instance's class: (G, Q, N).

    Args:
        logits: (G, Q, K + 1).
        labels: (G, N) int64 in 0..K.
    """
    probability = at_least_float32(logits).softmax(-1)
    return -probability.gather(2, labels[:, None].expand(-1, logits.shape[1], -1))


def point_costs(logits: Tensor, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """`point_loss` of every query with every instance: (G, Q, N).

    Args:
        logits: (G, Q, P).
        truth: (G, N, P), at the same points.
        counted: (G, P) of 0 and 1, the points that count; None: all.
    """
    logits = at_least_float32(logits)
    truth = truth.to(logits.dtype)
    # -t log p - (1 - t) log(1 - p) = softplus(x) - x t: one product of matrices for all pairs.
    none_there = F.softplus(logits)  # (G, Q, P)
    if counted is None:
        return (none_there.sum(2, keepdim=True) - logits @ truth.mT) / logits.shape[2]
    none_there, truth = none_there * counted[:, None], truth * counted[:, None]
    total = none_there.sum(2, keepdim=True) - logits @ truth.mT
    return total / counted.sum(1).clamp(min=1)[:, None, None]


def dice_costs(logits: Tensor, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """`dice_loss` of every query with every instance: (G, Q, N). Arguments as for `point_costs`."""
    probability = at_least_float32(logits).sigmoid()
    truth = truth.to(probability.dtype)
    if counted is not None:
        probability, truth = probability * counted[:, None], truth * counted[:, None]
    both = probability @ truth.mT  # (G, Q, N)
    return 1 - (2 * both + 1) / (probability.sum(2)[..., None] + truth.sum(2)[:, None] + 1)


def similarity_loss(embeddings: Tensor, identities: Tensor, groups: Tensor) -> Tensor:
    """Embeddings of one object should be alike, those of others not (Heo et al. 2022).

    Binary cross-entropy with the dot product as logit and "the same object" as truth, over all pairs within a group,
    each entry with itself among them: their sum over (their number + 1e-6).

    Args:
        embeddings: (E, D).
        identities: (E,) int64.
        groups: (E,) int64; entries of different groups are not compared.

    Returns:
        A scalar, float32 or wider; 0 of nothing.
    """
    embeddings = at_least_float32(embeddings)
    compared = groups[:, None] == groups
    same = (identities[:, None] == identities).to(embeddings.dtype)
    terms = F.binary_cross_entropy_with_logits(embeddings @ embeddings.mT, same, reduction="none")
    return (terms * compared).sum() / (compared.sum() + 1e-6)
