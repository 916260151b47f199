"""Calibration for int8: records the inputs of a model's parts while it predicts videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from avseg.inference.segmenter import Segmenter
from avseg.models.base import Model
from avseg.models.seams import Runner, Tensors, called, with_runners

CLIPS = 100
"""Number of recorded calls of the network."""


def recorded(model: Model[Any], most: int = CLIPS) -> tuple[Model[Any], dict[str, list[Tensors]]]:
    """Yield the model, and copies of the inputs of the first calls of each part while it predicts."""
    parts = {name: part for name in model.seams if (part := called(model, name)) is not None}
    kept: dict[str, list[Tensors]] = {name: [] for name in parts}

    def recorder(name: str, part: Callable[..., Any]) -> Runner:
        def run(*tensors: Tensor) -> Tensors:
            if len(kept[name]) < most:
                kept[name].append(tuple(tensor.detach().cpu().clone() for tensor in tensors))
            return model.seams[name].traced(part, *tensors)

        return run

    return with_runners(model, model.seams, {name: recorder(name, part) for name, part in parts.items()}), kept


def seen_in(model: Model[Any], videos: Sequence[Path], most: int = CLIPS) -> dict[str, list[Tensors]]:
    """Return the inputs of up to `most` calls of each part, video after video.

    Raises:
        ValueError: no video is given.
        MediaError: a file that is no video.
    """
    if not videos:
        raise ValueError("int8 needs videos for calibration; give some with --clips")
    twin, kept = recorded(model, most)
    segmenter = Segmenter(twin, device="cpu", engine="torch", precision="fp32")
    for video in videos:
        for _ in segmenter.stream(video):
            if all(len(calls) >= most for name, calls in kept.items() if model.seams[name].apart):
                return kept
    return kept
