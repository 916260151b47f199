"""Masks of tracks to what a task wants: tracks of run lengths, or logits of a map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from avseg.io.rle import encode
from avseg.models.dense import sized
from avseg.models.zeroshot.config import ZeroShotOptions
from avseg.models.zeroshot.gate import Flags
from avseg.models.zeroshot.tracks import FollowedTrack, Moment
from avseg.types import DensePrediction, InstancePrediction, Rle, Task

NOTHING = -10.0
"""Logit where no track sounds."""
MOST_NUMBERS = 255
"""Label maps tell so many tracks apart."""
_EMPTY = (16, 16)
"""Size of a map in which nothing sounds."""


def sounding_masks(moment: Moment, tracks: Mapping[int, FollowedTrack], sounding: Flags) -> dict[int, Tensor]:
    """(h, w) logits by track, of those whose noun sounds. `sounding`: (N,) flags of the frame's second."""
    return {number: logits for number, logits in moment.masks.items() if sounding[tracks[number].noun]}


class TrackMasks:
    """The masks of all tracks, run-length encoded at the wanted size, frame after frame."""

    def __init__(self) -> None:
        self._frames: list[dict[int, Rle]] = []

    def add(self, masks: Mapping[int, Tensor], size: tuple[int, int]) -> None:
        """The next frame: (h, w) logits by track; `size`: (H, W) of the masks."""
        self._frames.append(
            {number: encode(sized(logits[None, None], size)[0, 0] > 0) for number, logits in masks.items()}
        )

    def prediction(
        self, name: str, tracks: Mapping[int, FollowedTrack], size: tuple[int, int], options: ZeroShotOptions
    ) -> InstancePrediction:
        """The tracks of the video `name` that sound at any time, best first.

        Where their ids do not fit into label maps, they get the first numbers.
        """
        seen = {number for frame in self._frames for number in frame}
        kept = sorted(
            (tracks[n] for n in seen if tracks[n].score > options.score), key=lambda one: (-one.score, one.id)
        )
        if options.which == "best":
            first = {track.noun: track.id for track in reversed(kept)}
            kept = [track for track in kept if first[track.noun] == track.id]
        kept = kept[: options.most_tracks]
        chosen = {track.id for track in kept}
        if max(chosen, default=0) > MOST_NUMBERS:
            for number, one in enumerate(sorted(tracks, key=lambda n: (n not in chosen, n)), start=1):
                tracks[one].number = number
        return InstancePrediction(
            id=name,
            masks=[[frame.get(track.id) for frame in self._frames] for track in kept],
            scores=torch.tensor([track.score for track in kept], dtype=torch.float32),
            classes=torch.tensor([track.prompt.class_id for track in kept], dtype=torch.int64),
            track_ids=torch.tensor([track.number or track.id for track in kept], dtype=torch.int64),
            size=size,
        )


def of_each_noun(
    masks: Mapping[int, Tensor], tracks: Mapping[int, FollowedTrack], which: Literal["all", "largest", "best"]
) -> dict[int, Tensor]:
    """Select from the (h, w) logits of one frame by track: all, or for each noun the largest mask or that of the
    best track.
    """
    if which == "all":
        return dict(masks)
    best: dict[int, tuple[float, int]] = {}
    for number in sorted(masks, reverse=True):
        measure = float((masks[number] > 0).float().mean()) if which == "largest" else tracks[number].score
        best[tracks[number].noun] = max(best.get(tracks[number].noun, (-1.0, 0)), (measure, number))
    return {number: masks[number] for _, number in sorted(best.values(), key=lambda one: one[1])}


def frame_logits(masks: Mapping[int, Tensor], tracks: Mapping[int, FollowedTrack], task: Task) -> dict[int, Tensor]:
    """(h, w) logits of one frame by channel, of those in which something sounds; see `joined`.

    Binary: the highest of the tracks. Semantic: of each class the highest of its tracks, each times its score.
    """
    found: dict[int, Tensor] = {}
    for number, logits in masks.items():
        track = tracks[number]
        channel, factor = (0, 1.0) if task.kind == "binary" else (track.prompt.class_id, track.score)
        scaled = logits * factor
        found[channel] = torch.maximum(found[channel], scaled) if channel in found else scaled
    return found


def joined(name: str, frames: Sequence[Mapping[int, Tensor]], size: tuple[int, int], task: Task) -> DensePrediction:
    """A map of consecutive frames: nothing sounds where no track does, and the background of classes is 0."""
    shape = next(_shapes(frames), _EMPTY)
    logits = torch.full((len(frames), task.channels, *shape), NOTHING)
    for place, frame in enumerate(frames):
        for channel, values in frame.items():
            logits[place, channel] = values
    if task.kind != "binary":
        logits[:, 0] = 0.0
    return DensePrediction(name, logits, size)


def _shapes(frames: Iterable[Mapping[int, Tensor]]) -> Iterator[tuple[int, int]]:
    return ((values.shape[0], values.shape[1]) for frame in frames for values in frame.values())
