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


def seen_in(model: Model[Any], videos: Sequence[Path], most: int = CLIPS) -> dict[str, list[Tensors]]:
    """Copies of the tensors of up to `most` calls of each part, video after video.

    Raises:
        ValueError: no video is given.
        MediaError: a file that is no video.
    """
    if not videos:
        raise ValueError("no video is given to measure the network's numbers on")
    names = [name for name in model.seams if called(model, name) is not None]
    kept: dict[str, list[Tensors]] = {name: [] for name in names}

    def recorder(name: str, part: Callable[..., Any]) -> Runner:
        def run(*tensors: Tensor) -> Tensors:
            if len(kept[name]) < most:
                kept[name].append(tuple(tensor.detach().cpu().clone() for tensor in tensors))
            return model.seams[name].traced(part, *tensors)

        return run

    parts = {name: called(model, name) for name in names}
    runners = {name: recorder(name, part) for name, part in parts.items() if part is not None}
    segmenter = Segmenter(with_runners(model, model.seams, runners), device="cpu", engine="torch", precision="fp32")
    for video in videos:
        for _ in segmenter.stream(video):
            if all(len(calls) >= most for name, calls in kept.items() if model.seams[name].apart):
                return kept
    return kept
