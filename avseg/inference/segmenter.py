"""A model made ready for videos."""

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
    """A frame that waits for its prediction."""

    place: int
    """Among all pictures the network sees."""
    time: float
    """s, its nominal time."""
    shown: float
    """s, when it is shown."""


class Segmenter:
    """Marks what sounds in any video; knows no family of models, only what their config says of time and size."""

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
            model: any model of `avseg.models`, or what `avseg.models.load_model` opens: a file, a Hub id, `demo` ...
            fps: masks a second of video; by default 5, and of models that see whole clips the rate they were published
                with.
            device: `auto` (CUDA, then MPS, then CPU), or a torch device.
            name: what results call the model; by default its file or, of one that is given as such, its family.
            classes: only these are told of; names, or one text with commas between them. None: all.
            threshold: objects whose score is not above this are left out: tracks of models that track, of the others
                the mask of each frame by itself. None: as the model does without.
            options: what to change of how the model predicts, by name, as its family has it: `{"candidates": 50}`.
            engine: what computes the network: `torch`, `openvino` or `onnxruntime`; `auto`: OpenVINO for large networks
                on a CPU where it is installed (`avseg.engines.choose`).
            precision: `fp32`, `bf16` or `fp16`; `auto`: bf16 with OpenVINO where the CPU has units for it.

        Raises:
            ImportError: an engine that is not installed.
            ValueError: classes that the model does not know, a threshold that no score can have, a rate or options that
                do not fit the model, a device that is not there, or an engine or precision that is not for them.
        """
        if isinstance(model, (str, PathLike)):
            name = name or Path(model).name
            model = load_model(model)
        if not isinstance(uncompiled(model), Model):
            raise ValueError(
                f"model is of the type {type(model).__name__}, wanted a model, or a file, Hub id or name of one"
            )
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
        """Let predictions keep to a budget of memory; returns itself.

        Args:
            memory: what this process, on a GPU its tensors, may take in all, as bytes or `2GiB`: the network sees as
                many pictures at once as fit, at least one group. None: as many as the model likes.

        Raises:
            ValueError: a text that is no size.
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
        """The model in a file, a folder or under a Hub id, or one that opens by name.

        Args:
            source, task, choices, download: see `avseg.models.load_model`.
            options: those of the constructor.
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
        """All sounding objects of a video file, a clip, or frames in memory; masks run-length encoded in memory.

        Args:
            video: a file, a clip, or a list of them, which gives a list of results. With `audio` also a picture file,
                which is shown as long as the sound lasts.
            frames: in place of `video`: (T, H, W, 3) or (T, 3, H, W) uint8, or any iterable of pictures (H, W, 3)
                uint8, of which only those are kept that masks are made of. The first one is shown at 0 s.
            audio: of `frames`: (S,) or (A, S), float in [-1, 1] or int16, from the first picture on; None: silence. Of
                a file: another file, whose sound stands in place of its own.
            fps: of `frames`: pictures a second. (Masks a second are those of the Segmenter.)
            sample_rate: of the sound of `frames`, in Hz.
            start, end: of a file: the part that is looked at, in s or as `1:02.5`. All times of the result count from
                its start.

        Raises:
            MediaError: a file that is no video, or mono sound where the model hears left and right.
            ValueError: frames or sound that cannot be used, or arguments that do not go together.
        """
        if video is not None and frames is not None:
            raise ValueError("both a video and frames are given; give one of them")
        if frames is not None:
            if start is not None or end is not None:
                raise ValueError("start and end are of files; give the part of the frames and of their sound itself")
            return self._of_arrays(ArrayVideo(frames, audio, fps, sample_rate))
        if video is None:
            raise ValueError("nothing is given to segment; give a video, a clip, a list of them, or frames=")
        if fps is not None or sample_rate is not None:
            raise ValueError(
                "fps and sample_rate of predict are those of frames=; files know their own, and masks a second are set "
                "with Segmenter(..., fps=)"
            )
        if isinstance(video, (list, tuple)):
            return [self.predict(one, audio=audio, start=start, end=end) for one in video]
        if isinstance(video, Clip):
            if audio is not None or start is not None or end is not None:
                raise ValueError("a clip has its own sound and length; audio, start and end are of files")
            told, notes = self._of_clip(video)
            return self._result(video.id, told, video, Measured.of(video), notes)
        if not isinstance(video, (str, PathLike)):
            raise ValueError(
                f"video is of the type {type(video).__name__}, wanted a file, a clip or a list of them; pictures in "
                "memory are given as frames=, with fps="
            )
        if audio is not None and not isinstance(audio, (str, PathLike)):
            raise ValueError(
                f"audio is of the type {type(audio).__name__}, wanted the path of a file; samples go with frames="
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
        """Frame by frame, in memory that does not grow with the video's length.

        A model that tracks objects goes through the whole video before the first frame comes; what it keeps of each
        frame is small. Only a model that sees whole clips and does not track needs memory for all pictures.

        Raises:
            MediaError: a file that is no video, or mono sound where the model hears left and right.
        """
        return self.frames_of(excerpt(video, start, end, audio))

    def frames_of(self, info: VideoInfo) -> FrameStream:
        """The same, of a video that was probed before."""
        session = self.session()
        pictures, span = pictures_of(info, self.plan), self.plan.span(session.frames_at_once)
        clips = clips_of(info, self.model.config, self.plan, span, pictures)
        results = self._results(session, self.plan, clips, (info.height, info.width))
        shared = partial(SharedPictures, info, pictures) if self.plan.may_share(info, span) else None
        return FrameStream(results, pictures, lambda: self.only.of_notes(session.notes()), shared)

    def last_of(self, session: Session, clip: Clip, index: int) -> FrameResult:
        """The last frame of a clip that the model sees as one group, such as the newest picture of a stream.

        Args:
            session: that answers every group by itself, see `avseg.models.session.EachGroup`.
            clip: sized for the network.
            index: of the frame in the stream.
        """
        (prediction,) = session.step(Batch.collate([clip]).to(self.device))
        objects = self.only.of_all(objects_in(prediction, len(clip.times) - 1, self.model.task))
        sound = heard(clip.times.tolist(), self.model.config.audio)[-1]
        return FrameResult(index, float(clip.shown_at[-1]), sound, prediction.size, objects)

    def session(self) -> Session:
        """A new video's way through the model, in the engine and with the options that were chosen."""
        session = self._runs.session(self.options)
        session.budget = Budget(self.memory, self.device)
        return session

    def describe(self) -> dict[str, Any]:
        """What result.json says of the model."""
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
        """Results in order of a video that comes as consecutive clips, sized for the network."""
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
        """Results of the first frames of a prediction, of one in `every`; one that repeats the last has no moment."""
        sounds = heard([moment.time for moment in moments], self.model.config.audio)
        tracks = self.only.of_all(tracks_of(prediction, self.model.task))
        for k, moment in enumerate(moments):
            if moment.place % every == 0:
                objects = self.only.of_all(objects_in(prediction, k, self.model.task))
                yield FrameResult(moment.place // every, moment.shown, sounds[k], prediction.size, objects, tracks)


def _batches(groups: list[list[int]], session: Session, whole: bool) -> Iterator[list[list[int]]]:
    """Groups that one call of the network gets: about as many pictures as the session likes and its budget allows, at
    least one group. `whole`: there is one group, which the session parts itself."""
    if whole:
        return iter([groups] if groups else [])
    size = max(map(len, groups), default=1)
    return (groups[part] for part in session.budget.pieces(len(groups), session.frames_at_once or 0, size))
