"""What the parts of a model are given while it predicts videos: int8 measures their numbers on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from avseg.inference.segmenter import Segmenter
from avseg.models.base import Model
from avseg.models.seams import Runner, Tensors, called, with_runners

CLIPS = 100
"""Calls of the network that are kept."""


def recorded(model: Model[Any], most: int = CLIPS) -> tuple[Model[Any], dict[str, list[Tensors]]]:
    """The model, and copies of the tensors of the first calls of each of its parts while it predicts."""
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
    """What `most` calls of each part are given, video after video; fewer where these are over before.

    Raises:
        ValueError: no video is given.
        MediaError: a file that is no video.
    """
    if not videos:
        raise ValueError("no video is given to measure the network's numbers on; give some with --clips")
    twin, kept = recorded(model, most)
    segmenter = Segmenter(twin, device="cpu", engine="torch", precision="fp32")
    for video in videos:
        for _ in segmenter.stream(video):
            if all(len(calls) >= most for name, calls in kept.items() if model.seams[name].apart):
                return kept
    return kept
