"""The parts of QDFormer for engines: clips without padding frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from avseg.models.qdformer.output import QDFormerOutput, QueryPrediction
from avseg.models.seams import DEFAULT_SEAMS, Runner, Seam, Tensors
from avseg.nn.frames import spread
from avseg.nn.quantizer import Coded


def _traced(network: Callable[..., Any], images: Tensor, audio: Tensor) -> Tensors:
    """(B, T, 3, H, W) and (B, T, S, W) -> (B, T, Q, M) and (B, T, Q, h, w)."""
    valid = torch.ones(images.shape[:2], dtype=torch.bool, device=images.device)
    output: QDFormerOutput = network(images.flatten(0, 1), audio, valid)
    return output.class_logits, output.mask_logits


def _answered(run: Runner, images: Tensor, audio: Tensor, valid: Tensor) -> QDFormerOutput:
    """Return the outputs for predictions; boxes and tokens are empty. Clips with padding frames run one by one."""
    if bool(valid.all()):
        classes, masks = run(torch.unflatten(images, 0, valid.shape), audio)
    else:
        frames = torch.split(images, valid.sum(1).tolist())
        parts = [run(own[None], heard[there][None]) for own, heard, there in zip(frames, audio, valid, strict=True)]
        classes, masks = (spread(torch.cat([one[0] for one in same]), valid) for same in zip(*parts, strict=True))
    nothing = classes.new_zeros(len(valid), 0, 0)
    said = QueryPrediction(classes, classes.new_zeros(*classes.shape[:3], 4), masks)
    return QDFormerOutput([said], valid, (images.shape[2], images.shape[3]), Coded(nothing, nothing), None)


SEAMS = {
    **DEFAULT_SEAMS,
    "network": Seam(_traced, _answered, ("class_logits", "mask_logits"), ("images", "audio")),
}
