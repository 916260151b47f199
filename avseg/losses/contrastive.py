"""Contrastive audio-visual pairing: pixels beside a right and a wrong sound (Chen et al. 2024, section 3.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from avseg.host import on_host, sent
from avseg.losses.config import ContrastConfig
from avseg.losses.dense import at_least_float32
from avseg.types import IGNORE

_EPS = 1e-12
_ROWS = 1024
"""Anchors taken together: the similarities of so many with all others are the largest tensor."""


def contrastive_loss(
    matched: Tensor,
    shuffled: Tensor,
    labels: Tensor,
    shuffled_labels: Tensor,
    config: ContrastConfig,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The contrastive term, times its weight; of this process's batch alone, as published.

    Args:
        matched: (B, D, h, w) embeddings of pictures beside their own sounds, of any length.
        shuffled: (B, D, h, w) of the same pictures beside the sounds they are given.
        labels: (B, H, W) int64, 0 background, 255 not judged; the nearest pixel is taken at each place of the grid.
        shuffled_labels: (B, H, W) what is true beside the given sounds: `labels`, or background throughout.
        config: weight, temperature, views and limit.
        generator: on the CPU; of the draws of pixels.

    Returns:
        A scalar, float32 or wider; 0 where no class has as many pixels as there are views.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check(matched, shuffled, labels, shuffled_labels)
    height, width = matched.shape[-2:]
    truth, given = (on_grid(on_host(own), (height, width)).flatten() for own in (labels, shuffled_labels))
    own, other = sample_pixels(truth, given, config, generator)  # places in B * h * w
    with torch.autocast(matched.device.type, enabled=False):
        pixels = at_least_float32(torch.cat([_gather(matched, own), _gather(shuffled, other)]))  # (S, D)
        classes = torch.cat([truth[own], given[other]])  # (S,)
        return config.weight * info_nce(F.normalize(pixels, dim=1), classes, config.temperature)


def _check(matched: Tensor, shuffled: Tensor, labels: Tensor, shuffled_labels: Tensor) -> None:
    if matched.ndim != 4 or matched.shape != shuffled.shape:
        raise ValueError(
            f"the contrastive term got embeddings {tuple(matched.shape)} and {tuple(shuffled.shape)}, "
            "wanted (B, D, h, w) twice"
        )
    if labels.ndim != 3 or labels.shape != shuffled_labels.shape or len(labels) != len(matched):
        raise ValueError(
            f"the contrastive term got labels {tuple(labels.shape)} and {tuple(shuffled_labels.shape)} for "
            f"{len(matched)} pictures, wanted (B, H, W) twice"
        )


def on_grid(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, H, W) at the nearest pixels of a grid, as `interpolate(mode="nearest")` takes them: (B, *size)."""
    rows, columns = (
        torch.arange(wanted, device=labels.device) * there // wanted
        for wanted, there in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[:, rows[:, None], columns]


def _gather(embeddings: Tensor, places: Tensor) -> Tensor:
    """(B, D, h, w) at places in B * h * w: (n, D)."""
    _, _, h, w = embeddings.shape
    places = sent(places, embeddings.device)
    return embeddings.movedim(1, -1)[places // (h * w), places // w % h, places % w]


def sample_pixels(
    labels: Tensor, shuffled_labels: Tensor, config: ContrastConfig, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The pixels that are compared: of every foreground class, of the background, and beside the given sounds.

    With V views, every class with at least V pixels over the batch gives V, and all other classes none. Then k of the
    background pixels, and k at places of the foreground but beside the given sounds, where k is V or as many as there
    are. Without any class there is nothing.

    Args:
        labels: (M,) int64 of all pixels of a batch.
        shuffled_labels: (M,).
        config: views and limit.
        generator: on the CPU; asked for a permutation of the foreground, one of the background, and one of the
            foreground again (and one of all that is chosen, where `limit` cuts it).

    Returns:
        Places in M of matched pixels (n,), and of pixels beside the given sounds (k,).
    """
    foreground = ((labels > 0) & (labels != IGNORE)).nonzero()[:, 0]
    nothing = foreground[:0]
    if len(foreground) < config.views:
        return nothing, nothing
    anchors = _by_class(labels, foreground[_permutation(foreground, generator)], config.views)
    if not len(anchors):
        return nothing, nothing
    background = (labels == 0).nonzero()[:, 0]
    k = min(config.views, len(foreground), len(background))
    silent = background[_permutation(background, generator)[:k]]
    given = foreground[_permutation(foreground, generator)[:k]]
    own = torch.cat([anchors, silent])
    if config.limit is None or len(own) + k <= config.limit:
        return own, given
    kept = torch.randperm(len(own) + k, generator=generator)[: config.limit].to(own.device)
    return own[kept[kept < len(own)]], given[kept[kept >= len(own)] - len(own)]


def _permutation(places: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(len(places), generator=generator).to(places.device)


def _by_class(labels: Tensor, places: Tensor, views: int) -> Tensor:
    """The first `views` of `places` of every class that has as many, class by class."""
    ordered, order = labels[places].sort(stable=True)
    _, group, counts = torch.unique_consecutive(ordered, return_inverse=True, return_counts=True)
    rank = torch.arange(len(places), device=places.device) - (counts.cumsum(0) - counts)[group]
    return places[order[(rank < views) & (counts[group] >= views)]]


def info_nce(embeddings: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Embeddings of one label should be alike, those of others not (Chen et al. 2024, eq. 3).

    With s_ij = <z_i, z_j> / temperature, N_i the sum of exp(s_ij) over all j of other labels, and P_i all other j of
    the label of i, the term is the mean over i of 1 / (|P_i| + 1e-12) * sum over P_i of log(exp(s_ij) + N_i) - s_ij.
    An anchor that is alone in its class adds 0. Gradients flow through anchors and what they are compared with.

    Memory grows with S and not with its square: the gradient is found along with the value, some anchors at a time.
    It cannot be differentiated twice.

    Args:
        embeddings: (S, D), each of length one.
        labels: (S,) int64.
        temperature: above 0.

    Returns:
        A scalar, float32 or wider; 0 of nothing or of a single class.

    Raises:
        ValueError: shapes that do not fit.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"info_nce got embeddings {tuple(embeddings.shape)} and labels {tuple(labels.shape)}, "
            "wanted (S, D) and (S,)"
        )
    ordered, order = on_host(labels).sort(stable=True)
    counts = torch.unique_consecutive(ordered, return_counts=True)[1].tolist()
    with torch.autocast(embeddings.device.type, enabled=False):
        sorted_ = at_least_float32(embeddings)[sent(order, embeddings.device)]
        loss: Tensor = _InfoNCE.apply(sorted_, counts, temperature)
    return loss


class _InfoNCE(torch.autograd.Function):
    """Similarities of embeddings sorted by label, so that a class is a block of rows and columns."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, counts: list[int], temperature: float) -> Tensor:
        total, gradient = embeddings.new_zeros(()), torch.zeros_like(embeddings)
        if len(counts) > 1:  # of a single class every logarithm is s_ij itself
            first = 0
            for count in counts:
                for start in range(first, first + count, _ROWS):
                    rows = slice(start, min(start + _ROWS, first + count))
                    total += _block(embeddings, rows, slice(first, first + count), temperature, gradient)
                first += count
            gradient /= temperature * len(embeddings)
        ctx.save_for_backward(gradient)
        return total / max(len(embeddings), 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None


def _block(embeddings: Tensor, rows: slice, block: slice, temperature: float, gradient: Tensor) -> Tensor:
    """The sum over anchors `rows` of one class, whose pixels are `block`; what it adds to the gradient is added."""
    anchors = embeddings[rows]
    similarity = (anchors / temperature) @ embeddings.T  # (r, S)
    own = similarity[:, block].clone()  # (r, n)
    similarity[:, block] = -torch.inf
    top = similarity.amax(1, keepdim=True)
    negatives = similarity.sub_(top).exp_()  # (r, S), zero at the own class
    mass = negatives.sum(1, keepdim=True)  # N_i, but for exp(top)
    # s - log(exp(s) + N) = logsigmoid(s - log N), which neither overflows nor rounds to log 0.
    lead = own - (mass.log() + top)
    terms = F.logsigmoid(lead)
    weight = 1 / (own.shape[1] - 1 + _EPS)
    themselves = slice(rows.start - block.start, rows.stop - block.start)
    terms[:, themselves].fill_diagonal_(0)
    push = lead.neg_().sigmoid_().mul_(weight)  # (r, n), minus the derivative by s_ij
    push[:, themselves].fill_diagonal_(0)
    slope = negatives.mul_(push.sum(1, keepdim=True) / mass)
    slope[:, block] = -push
    gradient[rows].addmm_(slope, embeddings)
    gradient.addmm_(slope.T, anchors)
    return -weight * terms.sum()
