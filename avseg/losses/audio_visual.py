"""Audio-visual matching: the masked picture should lie near its sound (Zhou et al. 2022, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.config import AVMConfig
from avseg.losses.dense import at_least_float32

_EPS = 1e-6


def avm_loss(
    logits: Tensor, maps: Sequence[Tensor], audio: Sequence[Tensor | None], frames: Tensor, config: AVMConfig
) -> Tensor:
    """The matching term, times its weight.

    Args:
        logits: (B, T, C, H, W); C = 1 gives soft masks, more give the mask of all classes but the background.
        maps: by stage (..., D, h, w) with B*T leading entries, as the decoder saw them (after its ReLU).
        audio: by stage (..., D) with B*T leading entries; None where the stage heard nothing.
        frames: (B, T) bool, the frames that count: those that exist (S4, MS3), or those with labels (AVSS).
        config: variant, distance, stages, weight and the published quirks.

    Returns:
        A scalar, float32 or wider; 0 where no frame counts.

    Raises:
        ValueError: a stage that is not there or heard nothing, shapes that do not fit, a variant the masks cannot have.
    """
    _check(logits, maps, audio, frames, config)
    flat = at_least_float32(logits).flatten(0, 1)  # (N, C, H, W)
    counts = frames.flatten().to(flat.dtype)  # (N,)
    terms = []
    with torch.autocast(flat.device.type, enabled=False):
        for stage in config.stages:
            visual_map = at_least_float32(maps[stage]).flatten(0, -4).to(flat.dtype)  # (N, D, h, w)
            heard = at_least_float32(audio[stage]).flatten(0, -2).to(flat.dtype)  # type: ignore[arg-type]  # (N, D)
            seen = _masked_vector(flat, visual_map, config)  # (N, D)
            terms.append(_reduce(_distances(heard, seen, config), counts, _is_summed(flat, config)))
    return config.weight * torch.stack(terms).mean()


def _check(
    logits: Tensor, maps: Sequence[Tensor], audio: Sequence[Tensor | None], frames: Tensor, config: AVMConfig
) -> None:
    if logits.ndim != 5 or tuple(frames.shape) != tuple(logits.shape[:2]):
        raise ValueError(
            f"logits {tuple(logits.shape)} and frames {tuple(frames.shape)}, wanted (B, T, C, H, W) and (B, T)"
        )
    if logits.shape[2] > 1 and config.variant == "cosine":
        raise ValueError("the cosine variant is for binary masks; semantic logits take variant 'av' or 'vv'")
    if logits.shape[2] == 1 and config.background == "last":
        raise ValueError("background='last' is for semantic logits; binary masks have one channel, the foreground")
    for stage in config.stages:
        if stage >= min(len(maps), len(audio)):
            raise ValueError(
                f"stage {stage} of the matching term, but there are {len(maps)} maps and {len(audio)} sounds"
            )
        heard = audio[stage]
        if heard is None:
            raise ValueError(
                f"stage {stage} of the matching term heard nothing; give it audio attention or leave it out"
            )
        wanted = (logits.shape[0] * logits.shape[1], maps[stage].shape[-3])
        got = heard.shape[:-1].numel(), heard.shape[-1]
        if got != wanted or maps[stage].shape[:-3].numel() != wanted[0]:
            raise ValueError(
                f"stage {stage} of the matching term has a map {tuple(maps[stage].shape)} and sound "
                f"{tuple(heard.shape)}, wanted {wanted[0]} frames of one width"
            )


def _masked_vector(logits: Tensor, visual_map: Tensor, config: AVMConfig) -> Tensor:
    """The map averaged under the predicted mask: (N, C, H, W) and (N, D, h, w) -> (N, D)."""
    h, w = visual_map.shape[-2:]
    mask = _mask(logits, (h, w), config)  # (N, 1, h, w)
    if config.threshold or config.variant == "cosine":
        mask = (mask > 0.5).to(visual_map.dtype)
        return (visual_map * mask).sum((-2, -1)) / (mask.sum((-2, -1)) + _EPS)
    # A soft mask scales the mean over the whole map: a small object gives a short vector, as published.
    return (visual_map * mask).mean((-2, -1))


def _mask(logits: Tensor, size: tuple[int, int], config: AVMConfig) -> Tensor:
    """(N, 1, h, w) in [0, 1]. The published settings pool at different points: before, after or without the sigmoid."""
    pool = F.adaptive_avg_pool2d if config.pool == "avg" else F.adaptive_max_pool2d
    if logits.shape[1] > 1:
        background = 0 if config.background == "first" else logits.shape[1] - 1
        chosen = (logits.argmax(1, keepdim=True) != background).to(logits.dtype)
        return pool(chosen, size)
    if config.variant == "cosine":
        return pool(logits.sigmoid(), size)
    return pool(logits, size).sigmoid()


def _distances(heard: Tensor, seen: Tensor, config: AVMConfig) -> Tensor:
    """(N, D) sounds and (N, D) picture vectors -> (N,) distances."""
    if config.normalise or config.variant == "cosine":
        heard, seen = F.normalize(heard, dim=-1), F.normalize(seen, dim=-1)
    if config.variant == "cosine":
        return -torch.log(F.relu((heard * seen).sum(-1)) + _EPS)
    target = heard
    if config.variant == "vv" and config.neighbour_target == "visual":
        target = seen[_neighbours(heard, config.self_penalty)]
    if config.distance == "euclid":
        return F.pairwise_distance(seen, target, eps=_EPS)
    return F.kl_div(seen.log_softmax(-1), target.softmax(-1), reduction="none").sum(-1)  # KL(target || seen)


@torch.no_grad()
def _neighbours(heard: Tensor, self_penalty: float | None) -> Tensor:
    """(N,) for each frame the frame of the batch whose sound is nearest by L2."""
    away = torch.cdist(heard, heard, compute_mode="donot_use_mm_for_euclid_dist")  # (N, N)
    away.diagonal().add_(torch.inf if self_penalty is None else self_penalty)
    return away.argmin(-1)


def _is_summed(logits: Tensor, config: AVMConfig) -> bool:
    return (
        config.reduction == "published"
        and logits.shape[1] == 1
        and config.variant != "cosine"
        and config.distance == "kl"
    )


def _reduce(distances: Tensor, counts: Tensor, summed: bool) -> Tensor:
    total = (distances * counts).sum()
    return total if summed else total / counts.sum().clamp(min=1)
