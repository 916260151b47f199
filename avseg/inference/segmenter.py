"""A model made ready for videos."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from avseg.config import Temporal, TrackOptions, to_dict
from avseg.data.geometry import Geometry
from avseg.device import find_device
from avseg.inference.objects import objects_in, tracks_of
from avseg.inference.records import FrameResult, FrameStream, Measured
from avseg.inference.result import Result
from avseg.inference.source import channels_wanted, check_channels, clips_of, pictures_of
from avseg.inference.windows import Grid, block_length, heard, usual_rate, windows
from avseg.io.media import VideoInfo, probe
from avseg.io.pictures import Pictures
from avseg.models.base import Model, plain_state
from avseg.types import Batch, Clip, Prediction

FRAMES_AT_ONCE = 25
"""Pictures in one call of the network, in whole groups."""


class Segmenter:
    """Marks what sounds in any video; knows no family of models, only what their config says of time and size."""

    def __init__(
        self,
        model: Model[Any],
        *,
        fps: float | None = None,
        device: str = "auto",
        name: str = "",
        tracks: TrackOptions | None = None,
    ) -> None:
        """
        Args:
            model: any model of `avseg.models`.
            fps: masks a second of video; by default 5, and of models that see whole clips the rate they were published
                with.
            device: `auto` (CUDA, then MPS, then CPU), or a torch device.
            name: what results call the model; its family by default.
            tracks: what to change of how a model tracks objects.

        Raises:
            ValueError: a rate or options that do not fit the model, or a device that is not there.
        """
        self.device = find_device(device)
        self.tracks = tracks or TrackOptions()
        self.config = self.tracks.applied(model.config)
        self.model = model.to(self.device).eval()
        self.fps = usual_rate(model.config.temporal) if fps is None else fps
        self.grid = Grid.of(self.fps, model.config.temporal)
        self.name = name or model.config.family

    @classmethod
    def load(cls, source: str | Path, **options: Any) -> Segmenter:
        """The model in a file, a folder or under a Hub id, or `demo`, the small model of the synthetic world.

        Args:
            source: see `avseg.models.load_model`.
            options: those of the constructor.
        """
        from avseg.models import load_model

        return cls(load_model(source), **{"name": Path(source).name, **options})

    def predict(self, video: str | Path | Clip) -> Result:
        """Everything found in a video file or a clip, masks run-length encoded in memory.

        Raises:
            MediaError: a file that is no video, or mono sound where the model hears left and right.
        """
        if isinstance(video, Clip):
            return self._of_clip(video)
        info = probe(video)
        stream = self.frames_of(info)
        return Result(
            id=info.path.stem,
            frames=tuple(stream),
            task=self.model.task,
            fps=self.fps,
            model=self.name,
            source=info,
            size=(info.height, info.width),
            measured=stream.measured,
        )

    def _of_clip(self, clip: Clip) -> Result:
        check_channels(f"clip {clip.id!r}", len(clip.audio), channels_wanted(self.model.config))
        step = float(clip.times[1] - clip.times[0]) if len(clip.times) > 1 else 1.0
        return Result(
            id=clip.id,
            frames=tuple(self._segment(clip, clip.times.tolist())),
            task=self.model.task,
            fps=self.fps,
            model=self.name,
            source=clip,
            size=clip.result_size,
            measured=Measured(1 / step, float(clip.times[-1]) + step),
        )

    def stream(self, video: str | Path) -> FrameStream:
        """Frame by frame, in memory that does not grow with the video's length.

        A model that tracks objects goes through the whole video before the first frame comes; what it keeps of each
        frame is small. Only a model that sees whole clips and does not track needs memory for all pictures.

        Raises:
            MediaError: a file that is no video, or mono sound where the model hears left and right.
        """
        return self.frames_of(probe(video))

    def frames_of(self, info: VideoInfo) -> FrameStream:
        """The same, of a video that was probed before."""
        pictures = pictures_of(info, self.grid)
        tracked = self.model.tracking(self.tracks) is not None
        return FrameStream(self._tracked(info, pictures) if tracked else self._plain(info, pictures), pictures)

    def _plain(self, info: VideoInfo, pictures: Pictures) -> Iterator[FrameResult]:
        number = 0
        for clip, shown in clips_of(info, self.model.config, self.grid, pictures):
            for frame in self._segment(clip, shown, sized=True):
                if number % self.grid.every == 0:
                    yield replace(frame, index=number // self.grid.every)
                number += 1

    def _tracked(self, info: VideoInfo, pictures: Pictures) -> Iterator[FrameResult]:
        """Results of a video that goes through the model in pieces of a second or more."""
        tracking = self.model.tracking(self.tracks)
        assert tracking is not None
        grid = replace(self.grid, span=max(tracking.frames_at_once, math.ceil(self.grid.fps)))
        times: list[float] = []
        shown: list[float] = []
        for clip, part in clips_of(info, self.config, grid, pictures):
            tracking.see(Batch.collate([clip]).to(self.device))
            times += clip.times.tolist()
            shown += part
        prediction = tracking.tracks((info.height, info.width))
        del tracking  # and with it the maps of all frames, while results are written
        yield from self._frames(prediction, shown, times)

    def describe(self) -> dict[str, Any]:
        """What result.json says of the model."""
        return {
            "name": self.name,
            "family": self.model.config.family,
            "fingerprint": self._fingerprint,
            "task": self.model.task.to_dict(),
        }

    @cached_property
    def _fingerprint(self) -> str:
        """Twelve digits of weights and config, to tell results of one model from those of another of its name."""
        digest = sha256(json.dumps(to_dict(self.config), sort_keys=True).encode())
        for name, tensor in sorted(plain_state(self.model).items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:12]

    def _segment(self, clip: Clip, shown: Sequence[float], sized: bool = False) -> list[FrameResult]:
        """Results of a clip's frames in order; `shown` are the times they bear."""
        size = clip.result_size
        clip = replace(clip, target=None, output_size=size)
        clip = clip if sized else Geometry(self.model.config.input)(clip)
        tracking = self.model.tracking(self.tracks)
        if tracking is not None:
            tracking.see(Batch.collate([clip]).to(self.device))
            return list(self._frames(tracking.tracks(size), shown, clip.times.tolist()))
        frames: dict[int, FrameResult] = {}
        for groups in self._batches(windows(shown, self.model.config.temporal)):
            clips = [part_of(clip, group, self.model.config.temporal) for group in groups]
            predictions = self.model.predict(Batch.collate(clips).to(self.device))
            for group, part, prediction in zip(groups, clips, predictions, strict=True):
                told = self._frames(prediction, [shown[index] for index in group], part.times.tolist())
                frames |= {index: replace(frame, index=index) for index, frame in zip(group, told, strict=True)}
        return [frames[index] for index in range(len(shown))]

    def _frames(self, prediction: Prediction, shown: Sequence[float], times: Sequence[float]) -> Iterator[FrameResult]:
        """Results of the first frames of a prediction: when they are shown, and the times of what was predicted."""
        sounds = heard(times, self.model.config.audio)
        tracks = tracks_of(prediction, self.model.task)
        for k, time in enumerate(shown):
            objects = objects_in(prediction, k, self.model.task)
            yield FrameResult(k, time, sounds[k], prediction.size, objects, tracks)

    def _batches(self, groups: list[list[int]]) -> Iterable[list[list[int]]]:
        longest = max(len(group) for group in groups)
        at_once = max(1, FRAMES_AT_ONCE // longest)
        return (groups[i : i + at_once] for i in range(0, len(groups), at_once))


def part_of(clip: Clip, group: Sequence[int], temporal: Temporal) -> Clip:
    """The frames of a group; a block that is short repeats its last frame, its times go on."""
    missing = block_length(temporal) - len(group) if temporal.kind == "block" else 0
    part = clip.take([*group, *[group[-1]] * missing])
    for place in range(len(group), len(part.times)):
        part.times[place] = part.times[place - 1] + temporal.spacing
    return part
