"""The result of a video or clip: masks, names, scores, and when each object sounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from avseg.inference import views
from avseg.inference.export import coco
from avseg.inference.export.files import ResultHeader
from avseg.inference.export.kinds import GATHERED, MaskChoice, OverlayChoice, choose, kinds
from avseg.inference.export.overlay import save_overlay
from avseg.inference.export.saving import save_frames
from avseg.inference.export.style import PLAIN, Style
from avseg.inference.loading import load_result
from avseg.inference.records import FrameResult, Measured, PerFrame, Track
from avseg.inference.stored import Source, StoredVideo, begin_of
from avseg.inference.timeline import Intervals, TrackTable
from avseg.types import Clip, InstancePrediction, Task

CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv")
"""Suffixes of a video with masks painted in."""


@dataclass(frozen=True)
class Result:
    """All sounding objects of one video or clip; masks are kept run-length encoded and unpacked when looked at.

    `len(result)`, `result[3]`, `result[2:5]` and iteration give its frames.
    """

    id: str
    frames: tuple[FrameResult, ...]
    task: Task
    fps: float
    """Masks a second."""
    model: str
    source: Source
    """The video, by what its file says, or the clip; of a loaded result what it says of the video."""
    measured: Measured
    """Of the video or clip."""
    explanation: Mapping[str, Any] = field(default_factory=dict)
    """Why the model predicted what it did (docs/reference/result.md); empty where it does not tell."""

    @classmethod
    def load(cls, folder: str | Path, video: str | Path | None = None, audio: str | Path | None = None) -> Result:
        """The result in a folder that `avseg predict` or `save` wrote; scores have the four decimals of its JSON.

        Args:
            folder: With result.json and masks.
            video: The file that was segmented; without it there is no overlay.
            audio: The file whose sound was given in place of its own, where there was one.

        Raises:
            ValueError: no result of avseg, one without masks, masks that do not fit, or another video.
            FileNotFoundError: no such folder or mask.
        """
        return cls(**vars(load_result(Path(folder), *(None if one is None else Path(one) for one in (video, audio)))))

    def __repr__(self) -> str:
        return views.line_of(self)

    def _repr_html_(self) -> str:
        return views.card_of(self)

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameResult]:
        return iter(self.frames)

    @overload
    def __getitem__(self, index: int) -> FrameResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FrameResult, ...]: ...
    def __getitem__(self, index: int | slice) -> FrameResult | tuple[FrameResult, ...]:
        return self.frames[index]

    def plot(self) -> Image:
        """A picture: a timeline of what sounds when, and up to six frames with their masks (grey without the video)."""
        return views.plot_of(self)

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row for each object of each frame.

        Its columns: frame, time (s), id, class_id, class, score, area (pixels), left, top, width, height.

        Raises:
            ImportError: pandas is not installed.
        """
        return views.to_pandas(self)

    def to_supervision(self) -> list[Any]:
        """`supervision.Detections` of every frame: boxes along the edges of pixels, masks, scores, class ids (1..K) and
        names; of models that track the ids of the tracks.

        Raises:
            ImportError: supervision is not installed.
        """
        return views.to_supervision(self)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.source.result_size if isinstance(self.source, Clip) else (self.source.height, self.source.width)

    @property
    def duration(self) -> float:
        """s, the end of the last picture."""
        return self.measured.duration

    @property
    def times(self) -> NDArray[np.float64]:
        """(T,) s, when the segmented pictures are shown."""
        return np.array([frame.time for frame in self.frames], np.float64)

    @property
    def labels(self) -> PerFrame:
        """T label maps (H, W) uint8 of object ids."""
        return PerFrame(self.frames, lambda frame: frame.labels)

    @property
    def masks(self) -> PerFrame:
        """T masks (H, W) bool of everything that sounds."""
        return PerFrame(self.frames, lambda frame: frame.mask)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that are detected, in the order of their ids."""
        names = {one.class_id: one.name for frame in self.frames for one in frame.objects}
        return tuple(names[i] for i in sorted(names))

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All that was tracked, best first; empty for models that do not track."""
        return self.frames[0].tracks if self.frames else ()

    @property
    def scores(self) -> dict[int, NDArray[np.float64]]:
        """By object id: (T,) its score in each frame, 0 where it is not detected."""
        ids = sorted({one.id for frame in self.frames for one in frame.objects})
        table = {i: np.zeros(len(self.frames)) for i in ids}
        for t, frame in enumerate(self.frames):
            for one in frame.objects:
                table[one.id][t] = one.score
        return table

    @property
    def sounding(self) -> list[dict[str, Any]]:
        """When each object sounds: dicts of id, class_id, class and intervals [[begin, end], ...] in s; of a model that
        tracks, every track, with its score."""
        intervals = Intervals()
        for frame in self.frames:
            intervals.add(frame)
        return intervals.closed(self.duration)

    def save_video(self, path: str | Path, style: Style = PLAIN) -> Path:
        """Write the video with the masks painted in, at its own frame rate and with its own sound, as MP4.

        Raises:
            MediaError: a loaded result whose video is not at hand.
            ValueError: another suffix than that of MP4 or its kin (.m4v, .mov, .mkv), or a style that is none.
        """
        if Path(path).suffix.lower() not in CONTAINERS:
            raise ValueError(f"{path} is no name for the overlay; give one that ends in {', '.join(CONTAINERS)}")
        if not isinstance(style, Style):
            raise ValueError(f"style is {style!r}, wanted a Style (avseg.inference.export.style)")
        if isinstance(self.source, StoredVideo):
            raise self.source.refuse("overlay")
        return save_overlay(Path(path), self.source, self.frames, self.task, style)

    def save(
        self,
        folder: str | Path,
        masks: MaskChoice = "usual",
        *,
        overlay: OverlayChoice = None,
        save: Sequence[str] = ("masks",),
    ) -> Path:
        """Write result.json and what is wanted beside it into `folder`.

        They take the place of a result that was there; other files of the folder stay.

        Args:
            folder: It is made.
            masks: their form, `png`, `rle` or `npz`; `usual`: PNG where `save` names masks; None: none.
            overlay: write overlay.mp4; None: as `save` says; a `Style`: so too, painted in this way.
            save: kinds of output (docs/how-to/save.md).

        Raises:
            ValueError: a kind that there is not, or one that gathers the videos of a run.
            MediaError: a loaded result whose video is not at hand, and more than masks is wanted.
        """
        chosen = choose(save, overlay, masks)
        gathered = [kind for kind in chosen.more if kind.startswith(GATHERED)]
        if gathered:
            raise ValueError(f"{gathered[0]} gathers the videos of a run; use avseg.inference.predict_folder")
        if chosen.more and isinstance(self.source, StoredVideo):
            raise self.source.refuse(kinds()[chosen.more[0]].noun)
        model = {"name": self.model, "task": self.task.to_dict()}
        header = ResultHeader(model, self.task, self.fps, chosen.masks, chosen.more, chosen.style)
        return save_frames(Path(folder), self.source, self.frames, self.measured, header, self.explanation)

    def to_prediction(self) -> InstancePrediction:
        """The tracks as `avseg.io.youtube_vis` writes them and metrics judge them; None where a track is silent.

        Raises:
            ValueError: a model that does not track.
        """
        table = TrackTable(self.id)
        for frame in self.frames:
            table.add(frame)
        return table.prediction(self.task)

    def to_coco(self) -> dict[str, Any]:
        """Images (one a frame), annotations (RLE) and categories in the form of COCO; times are of the whole video."""
        return coco.to_coco(self.id, self.frames, self.task, begin_of(self.source))
