"""Losses of dense predictions; frames that are not annotated are ignored."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import on_host, picked
from avseg.types import IGNORE

DICE_EPSILON = 0.001
"""Added to each of the two sums of squares of a Dice, so that it has a value where both are 0."""


def binary_loss(
    logits: Tensor, labels: Tensor, annotated: Tensor, space: Literal["logit", "probability"] = "logit"
) -> Tensor:
    """Binary cross-entropy, the mean over all judged pixels of the annotated frames.

    S4 (first frame of a clip annotated) and MS3 (all five) differ in `annotated` alone (Zhou et al. 2022, eq. 4).

    Args:
        logits: (B, T, 1, H, W).
        labels: (B, T, H, W) integers, foreground where positive and not 255; or floats in [0, 1], taken as they are.
        annotated: (B, T) bool.
        space: the published form goes through the probability and cuts logarithms at -100, so that a pixel whose
            float32 probability has reached 0 or 1 is pushed no more; the logit form is equal elsewhere and has no
            such dead end.

    Returns:
        A scalar, float32 or wider; 0 where no frame is annotated.

    Raises:
        ValueError: shapes that do not fit, or another `space`.
    """
    if logits.ndim == 5 and logits.shape[2] != 1:
        raise ValueError(f"binary loss got {logits.shape[2]} channels of logits, wanted 1; use semantic_loss")
    kept, truth = _annotated(logits, labels, annotated)
    kept = kept[:, 0]  # (M, H, W)
    judged = truth != IGNORE
    soft = truth.to(kept.dtype) if truth.is_floating_point() else (truth > 0).to(kept.dtype)
    soft = torch.where(judged, soft, 0)
    if space == "logit":
        pixels = F.binary_cross_entropy_with_logits(kept, soft, reduction="none")
    elif space == "probability":
        with torch.autocast(kept.device.type, enabled=False):
            pixels = F.binary_cross_entropy(kept.sigmoid(), soft, reduction="none")
    else:
        raise ValueError(f"binary loss in {space!r} space, wanted 'logit' or 'probability'")
    return (pixels * judged).sum() / judged.sum().clamp(min=1)


def squared_dice_loss(probabilities: Tensor, labels: Tensor, annotated: Tensor, smooth: float = 0.0) -> Tensor:
    """Dice with squares in the denominator (Milletari et al. 2016, "V-Net"), the mean over judged frames.

    `1 - (2 sum(p g) + smooth) / (sum(p^2) + sum(g^2) + 0.002 + smooth)` of each frame, over its judged pixels. With
    `smooth` 0, the published form of AVSegFormer, a frame whose truth is empty gives 1 whatever is predicted, and no
    gradient.

    Args:
        probabilities: (B, T, 1, H, W).
        labels: (B, T, H, W) integers, foreground where positive and not 255; or floats in [0, 1], taken as they are.
        annotated: (B, T) bool.
        smooth: added to both sides of the ratio.

    Returns:
        A scalar, float32 or wider; 0 where no pixel is judged.

    Raises:
        ValueError: shapes that do not fit.
    """
    if probabilities.ndim == 5 and probabilities.shape[2] != 1:
        raise ValueError(f"squared Dice got {probabilities.shape[2]} channels, wanted 1")
    kept, truth = _annotated(probabilities, labels, annotated)
    predicted = kept.flatten(1)  # (M, H * W)
    judged = (truth != IGNORE).flatten(1)
    soft = (truth if truth.is_floating_point() else truth > 0).to(predicted.dtype).flatten(1)
    predicted, soft = predicted * judged, soft * judged
    both = 2 * (predicted * soft).sum(1) + smooth
    either = predicted.square().sum(1) + soft.square().sum(1) + 2 * DICE_EPSILON + smooth
    seen = judged.any(1)
    return ((1 - both / either) * seen).sum() / seen.sum().clamp(min=1)


def semantic_loss(logits: Tensor, labels: Tensor, annotated: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Cross-entropy (Zhou et al. 2024): mean over the judged pixels of a frame, then over annotated frames.

    Args:
        logits: (B, T, C, H, W).
        labels: (B, T, H, W) int64 in 0..C-1; 255 is not judged.
        annotated: (B, T) bool.
        foreground_weight: the terms of pixels that are not background are multiplied by this; the mean is still one
            over pixels. The published form has 1.

    Returns:
        A scalar, float32 or wider; 0 where no frame is annotated.

    Raises:
        ValueError: shapes that do not fit, or a label beyond the classes.
    """
    kept, truth = _annotated(logits, labels, annotated)
    judged = truth != IGNORE
    _check_labels(truth, kept.shape[1])
    pixels = F.cross_entropy(kept, truth, ignore_index=IGNORE, reduction="none")  # (M, H, W), 0 where ignored
    if foreground_weight != 1:
        pixels = torch.where(truth > 0, pixels * foreground_weight, pixels)
    frames = pixels.sum((1, 2)) / judged.sum((1, 2)).clamp(min=1)  # (M,)
    return frames.sum() / max(len(frames), 1)


def pixel_loss(logits: Tensor, labels: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Cross-entropy (Chen et al. 2024): the mean over the judged pixels of all pictures together.

    Args:
        logits: (N, C, H, W).
        labels: (N, H, W) int64 in 0..C-1; 255 is not judged.
        foreground_weight: the terms of pixels that are not background are multiplied by this; the mean is still one
            over pixels. The published form has 1.

    Returns:
        A scalar, float32 or wider; 0 where no pixel is judged.

    Raises:
        ValueError: shapes that do not fit, or a label beyond the classes.
    """
    if logits.ndim != 4 or labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f"pixel loss got logits {tuple(logits.shape)} and labels {tuple(labels.shape)}, "
            "wanted (N, C, H, W) and (N, H, W)"
        )
    judged = labels != IGNORE
    _check_labels(labels, logits.shape[1])
    judged_logits = at_least_float32(logits)
    if judged_logits.is_contiguous(memory_format=torch.channels_last):
        # A pixel's logits lie side by side: as rows they are taken as they are, as maps they would be copied first.
        judged_logits, labels = judged_logits.movedim(1, -1).flatten(0, 2), labels.flatten()
    if foreground_weight == 1:
        total = F.cross_entropy(judged_logits, labels, ignore_index=IGNORE, reduction="sum")
    else:
        pixels = F.cross_entropy(judged_logits, labels, ignore_index=IGNORE, reduction="none")
        total = torch.where(labels > 0, pixels * foreground_weight, pixels).sum()
    return total / judged.sum().clamp(min=1)


def _check_labels(labels: Tensor, channels: int) -> None:
    known = on_host(labels)
    highest = int((known * (known != IGNORE)).max()) if known.numel() else 0
    if highest >= channels:
        raise ValueError(f"label {highest} for {channels} channels of logits; check the task's classes")


def sounding_loss(logits: Tensor, sounding: Tensor, frames: Tensor) -> Tensor:
    """Which classes sound: binary cross-entropy, the mean over classes and the frames that count.

    Args:
        logits: (B, T, K).
        sounding: (B, T, K) bool.
        frames: (B, T) bool, the frames that count.

    Returns:
        A scalar, float32 or wider; 0 where no frame counts.
    """
    if logits.shape != sounding.shape or logits.shape[:2] != frames.shape:
        raise ValueError(
            f"sounding loss got logits {tuple(logits.shape)}, truth {tuple(sounding.shape)} and frames "
            f"{tuple(frames.shape)}, wanted (B, T, K) twice and (B, T)"
        )
    kept = at_least_float32(picked(logits, frames))  # (M, K)
    terms = F.binary_cross_entropy_with_logits(kept, picked(sounding, frames).to(kept.dtype), reduction="none")
    return terms.sum() / max(terms.numel(), 1)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _annotated(logits: Tensor, labels: Tensor, annotated: Tensor) -> tuple[Tensor, Tensor]:
    """The frames that carry labels: (M, C, H, W) logits, float32 or wider, and (M, H, W) labels."""
    if logits.ndim != 5:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, wanted (B, T, C, H, W)")
    b, t, _, h, w = logits.shape
    if tuple(labels.shape) != (b, t, h, w) or tuple(annotated.shape) != (b, t):
        raise ValueError(
            f"logits {tuple(logits.shape)} want labels ({b}, {t}, {h}, {w}) and annotated ({b}, {t}), got "
            f"{tuple(labels.shape)} and {tuple(annotated.shape)}; bring both to one size first"
        )
    keep = annotated if annotated.dtype == torch.bool else annotated.bool()
    return at_least_float32(picked(logits, keep)), picked(labels, keep)
