"""The segmenter: a model that predicts videos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, overload

from avseg.config import to_dict
from avseg.data.geometry import Geometry
from avseg.device import find_device
from avseg.engines.attach import attached
from avseg.engines.choice import choose
from avseg.engines.records import AUTO
from avseg.inference.arrays import ArrayFrames, ArrayVideo
from avseg.inference.objects import objects_in, tracks_of
from avseg.inference.only import Only
from avseg.inference.plan import FramePlan, heard, part_of, usual_rate
from avseg.inference.records import FrameResult, FrameStream, Measured
from avseg.inference.result import Result
from avseg.inference.source import check_channels, check_hears, clips_from, clips_of, pictures_of
from avseg.io.excerpt import excerpt
from avseg.io.media import VideoInfo
from avseg.io.shared import SharedPictures
from avseg.models.base import Model, plain_state
from avseg.models.budget import Budget, bytes_of
from avseg.models.compiled import uncompiled
from avseg.models.digest import update_with
from avseg.models.files import load_model
from avseg.models.opening import Download
from avseg.models.session import Session
from avseg.types import Batch, Clip, Prediction, Task


class _Moment(NamedTuple):
    """A frame without its prediction yet."""

    place: int
    """Index among all pictures for the network."""
    time: float
    """s, its nominal time."""
    shown: float
    """s, when it is shown."""


class Segmenter:
    """Segments the sounding objects of videos, clips and frames in memory, with a model of any family.

    Examples:
        >>> import numpy as np
        >>> from avseg import Segmenter
        >>> segmenter = Segmenter("demo", fps=1, device="cpu")
        >>> frames = np.zeros((3, 64, 64, 3), np.uint8)  # 3 s of black pictures
        >>> result = segmenter.predict(frames=frames, audio=np.zeros(48000, np.float32), fps=1, sample_rate=16000)
        >>> len(result), result.size, result.masks[0].shape, result.sounding
        (3, (64, 64), (64, 64), [])
    """

    def __init__(
        self,
        model: Model[Any] | str | PathLike[str],
        *,
        fps: float | None = None,
        device: str = "auto",
        name: str = "",
        classes: str | Sequence[str] | None = None,
        threshold: float | None = None,
        options: Mapping[str, Any] | None = None,
        engine: str = AUTO,
        precision: str = AUTO,
    ) -> None:
        """
        Args:
            model: A model, or anything that `avseg.load_model` opens: a file, a Hub id, `demo`.
            fps: Masks per second of video. The default is 5; models that see a whole clip have their published rate.
            device: `auto` (CUDA, then MPS, then CPU), or a torch device.
            name: The name of the model in results. The default is its file, or the family of a model in memory.
            classes: Names of the classes to report, as a list or as one text with commas. None reports all.
            threshold: Objects with this score or less are left out. Models that track score tracks; other models score
                the mask of each frame. None keeps the model's own threshold.
            options: Options of the model's family by name, such as `{"candidates": 50}`.
            engine: What computes the network: `torch`, `openvino` or `onnxruntime`. `auto` takes OpenVINO for large
                networks on a CPU if it is installed, and PyTorch otherwise (`avseg.engines.choose`).
            precision: `fp32`, `bf16`, `fp16`, or `int8` for a file that was exported so. `auto` takes bf16 with
                OpenVINO on a CPU that supports it.

        Raises:
            ImportError: The engine is not installed.
            ValueError: The model does not have a class, an option or the rate; no score can reach the threshold; the
                device does not exist; or the engine or the precision does not support model and device.
        """
        if isinstance(model, (str, PathLike)):
            name = name or Path(model).name
            model = load_model(model)
        if not isinstance(uncompiled(model), Model):
            raise ValueError(f"model has the type {type(model).__name__}, wanted a model, or its file, Hub id or name")
        self.device = find_device(device)
        self.only = Only.of(model.task, classes, threshold)
        self.options, self.only = self.only.within(model.options.changed(model.config.family, **(options or {})))
        self.model = model.to(self.device).eval()
        self.choice = choose(self.model, self.device, engine, precision)
        """The engine and the precision."""
        self._runs = attached(self.model, self.choice, self.device)
        self.memory: int | None = None
        """Bytes, see `within`."""
        self.fps = usual_rate(model.config.temporal) if fps is None else fps
        self.plan = FramePlan.of(self.fps, model.config.temporal)
        self.name = name or model.config.family

    def __repr__(self) -> str:
        family, device = self.model.config.family, str(self.device)
        return f"Segmenter({self.name!r}, family={family!r}, fps={self.fps:g}, device={device!r})"

    def within(self, memory: str | int | None) -> Segmenter:
        """Limit the memory of predictions, and return this Segmenter.

        Args:
            memory: The limit in bytes or as `2GiB`, for the process on a CPU and for the tensors on a GPU. The network
                sees as many pictures at once as fit, but at least one group. None sets no limit.

        Returns:
            This Segmenter.

        Raises:
            ValueError: A text that is not a size.
        """
        self.memory = None if memory is None else bytes_of(memory)
        return self

    @classmethod
    def load(
        cls,
        source: str | PathLike[str],
        *,
        task: Task | None = None,
        choices: Mapping[str, Any] | None = None,
        download: Download = False,
        **options: Any,
    ) -> Segmenter:
        """Load a model and make a Segmenter of it.

        Args:
            source: A file, a folder, a Hub id, `demo`, or the name of a model without a file, such as `zeroshot`.
            task: The task of a model that opens by name; files have their own.
            choices: Choices of a model that opens by name, such as `{"vocabulary": "dog,guitar"}`.
            download: Whether missing open weights are fetched; a function is asked first.
            options: Arguments of `Segmenter`.

        Raises:
            FileNotFoundError: No such file, name or Hub id, or open weights that are missing.
            ValueError: The file holds no model, or an argument of `Segmenter` does not fit it.
        """
        model = load_model(source, task=task, choices=choices, download=download)
        return cls(model, **{"name": Path(source).name, **options})

    @overload
    def predict(
        self,
        video: str | PathLike[str] | Clip | None = None,
        *,
        frames: ArrayFrames | None = None,
        audio: Any = None,
        fps: float | None = None,
        sample_rate: int | None = None,
        start: float | str | None = None,
        end: float | str | None = None,
    ) -> Result: ...

    @overload
    def predict(
        self, video: list[Any] | tuple[Any, ...], *, audio: Any = None, start: Any = None, end: Any = None
    ) -> list[Result]: ...

    def predict(
        self,
        video: str | PathLike[str] | Clip | list[Any] | tuple[Any, ...] | None = None,
        *,
        frames: ArrayFrames | None = None,
        audio: Any = None,
        fps: float | None = None,
        sample_rate: int | None = None,
        start: float | str | None = None,
        end: float | str | None = None,
    ) -> Result | list[Result]:
        """Segment the sounding objects of a video file, a clip, or frames in memory.

        Args:
            video: A file, a clip, or a list of them, which gives a list of results. With `audio` it may be a picture
                file, which is shown as long as the sound lasts.
            frames: Pictures in place of `video`: (T, H, W, 3) or (T, 3, H, W) uint8, or any iterable of pictures
                (H, W, 3) uint8. The first one is shown at 0 s. Pictures without a mask are not kept in memory.
            audio: With `frames`: samples (S,) or (A, S), float in [-1, 1] or int16, which begin with the first picture;
                None is silence. With a file: another file whose sound replaces its own.
            fps: Pictures per second of `frames`. `Segmenter(..., fps=)` sets the masks per second.
            sample_rate: Hz of the samples in `audio`.
            start: Where the part of a file begins, in s or as `1:02.5`. All times of the result count from here.
            end: Where the part ends, on the clock of the file.

        Returns:
            The result, whose masks are run-length encoded in memory; for a list, a list of results.

        Raises:
            MediaError: The file is no video, or its sound is mono and the model needs left and right.
            ValueError: Frames or sound cannot be used, or arguments contradict each other.
        """
        if video is not None and frames is not None:
            raise ValueError("both video and frames= are given; give one of them")
        if frames is not None:
            if start is not None or end is not None:
                raise ValueError("start and end apply to files; cut the frames and their sound yourself")
            return self._of_arrays(ArrayVideo(frames, audio, fps, sample_rate))
        if video is None:
            raise ValueError("nothing to segment; give a video, a clip, a list of them, or frames=")
        if fps is not None or sample_rate is not None:
            raise ValueError(
                "fps= and sample_rate= of predict belong to frames=; files have their "
                "own rates, and masks per second are set "
                "with Segmenter(..., fps=)"
            )
        if isinstance(video, (list, tuple)):
            return [self.predict(one, audio=audio, start=start, end=end) for one in video]
        if isinstance(video, Clip):
            if audio is not None or start is not None or end is not None:
                raise ValueError("a clip has its own sound and length; audio, start and end apply to files")
            told, notes = self._of_clip(video)
            return self._result(video.id, told, video, Measured.of(video), notes)
        if not isinstance(video, (str, PathLike)):
            raise ValueError(
                f"video has the type {type(video).__name__}, wanted a file, a clip or a list of them; pictures in "
                "memory are given as frames=, with fps="
            )
        if audio is not None and not isinstance(audio, (str, PathLike)):
            raise ValueError(
                f"audio has the type {type(audio).__name__}, wanted the path of a "
                "file; pass samples together with frames="
            )
        info = excerpt(video, start, end, audio)
        stream = self.frames_of(info)
        told = tuple(stream)
        return self._result(info.path.stem, told, info, stream.measured, stream.notes)

    def _result(
        self, name: str, frames: tuple[FrameResult, ...], source: VideoInfo | Clip, measured: Measured, notes: Any
    ) -> Result:
        return Result(name, frames, self.model.task, self.fps, self.name, source, measured, notes)

    def _of_arrays(self, video: ArrayVideo) -> Result:
        session, config = self.session(), self.model.config
        check_hears(config)
        pictures = video.pictures(self.plan)
        sound = video.sound(config.heard_channels, config.sound_rate)
        clips = clips_from(pictures, sound, config, self.plan.span(session.frames_at_once), video.name)
        frames = tuple(self._results(session, self.plan, clips, video.size))
        clip = video.clip([frame.time for frame in frames], config.temporal.shown_after)
        return self._result(video.name, frames, clip, Measured.of(pictures), self.only.of_notes(session.notes()))

    def _of_clip(self, clip: Clip) -> tuple[tuple[FrameResult, ...], Mapping[str, Any]]:
        check_channels(f"clip {clip.id!r}", len(clip.audio), self.model.config.heard_channels)
        plan, size = FramePlan.of_clip(clip, self.model.config.temporal), clip.result_size
        sized = Geometry(self.model.config.input)(replace(clip, target=None, output_size=size))
        session = self.session()
        return tuple(self._results(session, plan, [sized], size)), self.only.of_notes(session.notes())

    def stream(
        self,
        video: str | PathLike[str],
        *,
        audio: str | PathLike[str] | None = None,
        start: float | str | None = None,
        end: float | str | None = None,
    ) -> FrameStream:
        """Segment a video file frame by frame, in memory that does not grow with its length.

        A model that tracks objects reads the whole video before it gives the first frame, and keeps little of each
        frame. Only a model that sees whole clips and does not track needs memory for all pictures.

        Args:
            video: A file; with `audio` it may be a picture file.
            audio: Another file whose sound replaces the video's own.
            start: Where the part begins, in s or as `1:02.5`. All times of the results count from here.
            end: Where the part ends, on the clock of the file.

        Returns:
            An iterator of `FrameResult`, in order.

        Raises:
            MediaError: The file is no video, or its sound is mono and the model needs left and right.
        """
        return self.frames_of(excerpt(video, start, end, audio))

    def frames_of(self, info: VideoInfo) -> FrameStream:
        """Segment a probed video frame by frame; see `stream`."""
        session = self.session()
        pictures, span = pictures_of(info, self.plan), self.plan.span(session.frames_at_once)
        clips = clips_of(info, self.model.config, self.plan, span, pictures)
        results = self._results(session, self.plan, clips, (info.height, info.width))
        shared = partial(SharedPictures, info, pictures) if self.plan.may_share(info, span) else None
        return FrameStream(results, pictures, lambda: self.only.of_notes(session.notes()), shared)

    def last_of(self, session: Session, clip: Clip, index: int) -> FrameResult:
        """Segment the last frame of a clip that the model sees as one group, such as the newest picture of a stream.

        Args:
            session: A session that answers every group by itself (`avseg.models.session.EachGroup`).
            clip: A clip at the size of the network.
            index: The place of the frame in the stream.
        """
        (prediction,) = session.step(Batch.collate([clip]).to(self.device))
        objects = self.only.of_all(objects_in(prediction, len(clip.times) - 1, self.model.task))
        sound = heard(clip.times.tolist(), self.model.config.audio)[-1]
        return FrameResult(index, float(clip.shown_at[-1]), sound, prediction.size, objects)

    def session(self) -> Session:
        """A session of the model for one video, with the engine and the options of this Segmenter."""
        session = self._runs.session(self.options)
        session.budget = Budget(self.memory, self.device)
        return session

    def describe(self) -> dict[str, Any]:
        """The entry `model` of result.json."""
        return {
            "name": self.name,
            "family": self.model.config.family,
            "fingerprint": self._fingerprint,
            "task": self.model.task.to_dict(),
            **self.choice.to_dict(),
            **({"weights": origins} if (origins := self.model.config.origins) else {}),
            **({"only": only} if (only := self.only.to_dict()) else {}),
        }

    @cached_property
    def _fingerprint(self) -> str:
        """Twelve digits of weights, config and options, to tell results of models of one name apart."""
        settings = {**to_dict(self.model.config), **to_dict(self.options), **self.only.to_dict()}
        digest = sha256(json.dumps(settings, sort_keys=True).encode())
        if self.model.exported is not None:
            digest.update(self.model.exported.weights.encode())
        else:
            update_with(digest, plain_state(self.model))
        return digest.hexdigest()[:12]

    def _results(
        self, session: Session, plan: FramePlan, clips: Iterable[Clip], size: tuple[int, int]
    ) -> Iterator[FrameResult]:
        """Yield the results of a video, given as consecutive clips sized for the network."""
        temporal = self.model.config.temporal
        waiting: list[list[_Moment]] = []
        before = 0
        for clip in clips:
            frames: list[FrameResult] = []
            places = range(before, before + len(clip.times))
            moments = list(map(_Moment, places, clip.times.tolist(), clip.shown_at.tolist()))
            before = places.stop
            for groups in _batches(plan.groups(len(moments)), session, whole=plan.length is None):
                batch = Batch.collate([part_of(clip, group, temporal) for group in groups])
                waiting += [[moments[place] for place in group] for group in groups]
                for prediction in session.step(batch.to(self.device)):
                    frames += self._frames(prediction, waiting.pop(0), plan.every)
            yield from sorted(frames, key=lambda frame: frame.index)
        for prediction in session.finish(size):
            yield from self._frames(prediction, [moment for group in waiting for moment in group], plan.every)

    def _frames(self, prediction: Prediction, moments: list[_Moment], every: int) -> Iterator[FrameResult]:
        """Yield results of the first frames of a prediction, one in `every`; a repeated last frame has no moment."""
        sounds = heard([moment.time for moment in moments], self.model.config.audio)
        tracks = self.only.of_all(tracks_of(prediction, self.model.task))
        for k, moment in enumerate(moments):
            if moment.place % every == 0:
                objects = self.only.of_all(objects_in(prediction, k, self.model.task))
                yield FrameResult(moment.place // every, moment.shown, sounds[k], prediction.size, objects, tracks)


def _batches(groups: list[list[int]], session: Session, whole: bool) -> Iterator[list[list[int]]]:
    """Yield the groups for one call of the network: as many pictures as session and budget allow, at least one group.

    `whole`: there is one group, which the session divides itself."""
    if whole:
        return iter([groups] if groups else [])
    size = max(map(len, groups), default=1)
    return (groups[part] for part in session.budget.pieces(len(groups), session.frames_at_once or 0, size))
