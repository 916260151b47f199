"""The parts of AVISM for engines: the frame stage on some frames at a time, the clip stage on a whole clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from avseg.models.avism.network import FrameOutput
from avseg.models.avism.video import ClipPrediction, Watched
from avseg.models.seams import DEFAULT_SEAMS, Runner, Seam, Tensors


def _look(look: Callable[..., Any], images: Tensor, audio: Tensor) -> Tensors:
    """(N, 3, H, W) and (N, W) -> queries (N, Q, D) of the last layer, and mask features (N, D, h, w)."""
    seen: FrameOutput = look(images, audio, layers=1, predict=False)
    return seen.queries[-1], seen.clip_features


def _looked(run: Runner, images: Tensor, audio: Tensor, layers: int = 1, predict: bool = False) -> FrameOutput:
    queries, features = run(images, audio)
    return FrameOutput(queries[None], features, [])


def _watch(watch: Callable[..., Any], queries: Tensor, audio: Tensor) -> Tensors:
    """(T, fQ, D) and (T, W) of one clip -> (Q, K + 1) and (Q, D) of its clip queries."""
    told: ClipPrediction = watch(queries[None, None], audio[None]).predictions[-1]
    return told.class_logits[-1, 0], told.mask_embeddings[-1, 0]


def _watched(run: Runner, queries: Tensor, audio: Tensor) -> Watched:
    told = [run(own, heard) for own, heard in zip(queries[-1], audio, strict=True)]
    classes, embeddings = (torch.stack(same)[None] for same in zip(*told, strict=True))
    return Watched([ClipPrediction(classes, embeddings)])


SEAMS = {
    "network.look": Seam(_look, _looked, ("queries", "mask_features"), ("images", "audio"), decides=True),
    "network.watch": Seam(_watch, _watched, ("class_logits", "mask_embeddings"), ("queries", "audio"), apart=False),
    "audio_network": DEFAULT_SEAMS["audio_network"],
}
