"""The codes of clips and videos from a model with a codebook, prepared for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.data import eval_transforms
from avseg.data.base import ClipDataset, tasks_apart
from avseg.data.transforms import apply
from avseg.inference.plan import FramePlan, part_of
from avseg.inference.source import clips_of
from avseg.io.media import probe
from avseg.models.base import Model, in_evaluation
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.qdformer.inspect.page import CodedClip
from avseg.models.qdformer.output import QDFormerOutput
from avseg.nn.audio import log_mel_windows, mixed_down
from avseg.nn.frames import resized
from avseg.nn.quantizer import usage
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.types import IGNORE, Batch, Clip, DensePrediction, DenseTarget, Task

HEIGHT = 112
"""Pixels of a picture on the page."""


def check_codes(model: Model[Any]) -> int:
    """The number of codes of a model, over all its codebooks.

    Raises:
        ValueError: a model that has no codebook.
    """
    config = model.config
    if not isinstance(config, QDFormerConfig) or not config.quantise:
        own = isinstance(config, QDFormerConfig)
        what = "was built with quantise=False" if own else f"is of the family {config.family}"
        raise ValueError(f"this model {what} and has no codebook to look at; give a qdformer model that quantises")
    return config.codebook.codes * (1 if config.codebook.shared else config.tokens)


def coded_video(model: Model[Any], video: str | Path) -> Iterator[CodedClip]:
    """A video's parts as the model sees them, one after the other, at the rate of its own frames.

    Raises:
        ValueError: a model that has no codebook.
        MediaError: a file that is no video.
    """
    check_codes(model)
    info, temporal = probe(video), model.config.temporal
    plan = FramePlan.of(1 / temporal.spacing, temporal)
    for clip in clips_of(info, model.config, plan, plan.span(None)):
        for group in plan.groups(len(clip.times)):
            times = clip.shown_at[group].tolist()
            begin = max(0.0, times[0] - temporal.shown_after)
            name = f"{info.path.stem}, {begin:.0f} to {begin + times[-1] - times[0] + temporal.spacing:.0f} s"
            part = replace(part_of(clip, group, temporal), id=name)
            yield _coded(model, part, times, (info.height, info.width))


def coded_clips(model: Model[Any], dataset: ClipDataset, places: Sequence[int]) -> Iterator[CodedClip]:
    """Clips of a data set by their places in it, with the truth.

    Raises:
        ValueError: a model that has no codebook, or another task than the data set's.
    """
    check_codes(model)
    if dataset.task != model.task:
        raise ValueError(f"{tasks_apart(model.task, dataset.task)}; give its own data set")
    transforms = eval_transforms(dataset.config, model.config.input, "repaired")
    for place in places:
        clip = dataset[place]
        size = (clip.frames.shape[2], clip.frames.shape[3])
        yield _coded(model, apply(transforms, clip, torch.Generator()), clip.times.tolist(), size)


def use_of_codes(clips: Sequence[CodedClip], number: int) -> list[list[object]]:
    """Rows for the page: (whose tokens, tokens, codes used, perplexity, its share of `number`, largest share)."""
    kinds = {
        "whole clips": [clip.clip_codes for clip in clips],
        "frames": [clip.frame_codes for clip in clips if clip.frame_codes is not None],
    }
    rows: list[list[object]] = []
    for name, arrays in kinds.items():
        if arrays:
            codes = torch.from_numpy(np.concatenate([array.ravel() for array in arrays]))
            use = usage(codes, number)
            perplexity, largest = float(use.perplexity), float(use.largest_share)
            rows.append([name, len(codes), int(use.used), perplexity, f"{perplexity / number:.0%}", f"{largest:.0%}"])
    return rows


@torch.inference_mode()
def _coded(model: Model[Any], clip: Clip, times: Sequence[float], size: tuple[int, int]) -> CodedClip:
    """A clip that is sized for the network; `times` are those of its first frames, the others only fill it up."""
    thumb = (HEIGHT, max(1, round(HEIGHT * size[1] / size[0])))
    batch = Batch.collate([replace(clip, target=None, output_size=thumb)]).to(next(model.parameters()).device)
    with in_evaluation(model):
        output = model(batch)
        (prediction,) = model.postprocess(output, batch)
    assert isinstance(output, QDFormerOutput) and isinstance(prediction, DensePrediction)
    assert output.clip_tokens.codes is not None
    local = output.frame_tokens.codes if output.frame_tokens is not None else None
    count = len(times)
    pictures = resized(clip.frames[:count], thumb)
    marked = torch.stack([prediction.labels(frame).cpu() for frame in range(count)])
    heard = log_mel_windows(mixed_down(replace(batch, audio_features=None)), model.config.audio)  # (1, T, 1, L, M)
    target = clip.target if isinstance(clip.target, DenseTarget) else None
    return CodedClip(
        id=clip.id,
        times=times,
        marked=_painted(pictures, marked, model.task),
        truth=None if target is None else _painted(pictures, _true_labels(target, thumb), model.task),
        spectra=heard[0, :count, 0].cpu().numpy() if clip.audio.shape[1] else None,
        clip_codes=output.clip_tokens.codes[0].cpu().numpy(),
        frame_codes=None if local is None else local[0, :count].cpu().numpy(),
        sounding=None if target is None else _names(target, model.task),
    )


def _painted(pictures: Tensor, labels: Tensor, task: Task) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(T, H, W, 3) from (T, 3, H, W) uint8 and (T, H, W)."""
    names, colours = dict(enumerate(task.classes, start=1)), palette(task)
    frames = zip(pictures.permute(0, 2, 3, 1).numpy(), labels.numpy(), strict=True)
    return np.stack([overlay(np.ascontiguousarray(picture), label, names, colours) for picture, label in frames])


def _true_labels(target: DenseTarget, size: tuple[int, int]) -> Tensor:
    """(T, *size) int64; nothing where frames are not annotated or pixels not judged."""
    labels = torch.where(target.labels == IGNORE, 0, target.labels) * target.annotated[:, None, None]
    return F.interpolate(labels[:, None].float(), size, mode="nearest-exact")[:, 0].long()


def _names(target: DenseTarget, task: Task) -> list[list[str]] | None:
    """By frame the classes that sound; numbers stand for those that a binary task has no names of."""
    if target.sounding is None:
        return None
    count = target.sounding.shape[1]
    names = task.classes if len(task.classes) == count else [f"class {number + 1}" for number in range(count)]
    return [[names[place] for place in row.nonzero()[:, 0].tolist()] for row in target.sounding]
