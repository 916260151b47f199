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
    """The sounding objects of one video or clip: masks, classes, scores and times.

    `len(result)`, `result[3]`, `result[2:5]` and iteration give its frames. Masks stay run-length encoded in memory;
    each access decodes them.

    Examples:
        >>> import torch
        >>> from avseg import Clip, Segmenter
        >>> black = torch.zeros(2, 3, 32, 48, dtype=torch.uint8)  # two pictures of 32 x 48 pixels
        >>> clip = Clip("black", black, torch.tensor([0.0, 1.0]).double(), torch.zeros(1, 32000), 16000)
        >>> result = Segmenter("demo", device="cpu").predict(clip)
        >>> result.id, result.size, len(result), result.times.tolist()
        ('black', (32, 48), 2, [0.0, 1.0])
        >>> result[0].labels.shape, result[0].objects  # nothing sounds
        ((32, 48), ())
    """

    id: str
    frames: tuple[FrameResult, ...]
    task: Task
    fps: float
    """Masks per second."""
    model: str
    """Name of the model."""
    source: Source
    """Facts of the video file, the clip, or what a loaded result says of its video."""
    measured: Measured
    """Frame rate, duration and damaged packets of the video or clip."""
    explanation: Mapping[str, Any] = field(default_factory=dict)
    """Why the model predicted what it did, as plain JSON types; empty for models without explanations."""

    @classmethod
    def load(cls, folder: str | Path, video: str | Path | None = None, audio: str | Path | None = None) -> Result:
        """Read a result from a folder that `avseg predict` or `Result.save` wrote.

        Scores have the four decimals of result.json.

        Args:
            folder: The folder with result.json and masks.
            video: The file that was segmented; `save_video` needs it.
            audio: The file whose sound replaced the video's own, if there was one.

        Raises:
            ValueError: The folder holds no result of avseg, its masks are missing or do not fit, or the video is
                another one.
            FileNotFoundError: The folder or a mask does not exist.
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
        """Draw a timeline of what sounds when, and up to six frames with their masks.

        Frames are grey if the video is not at hand.
        """
        return views.plot_of(self)

    def to_pandas(self) -> Any:
        """Make a pandas DataFrame with a row for each object of each frame.

        Its columns are frame, time (s), id, class_id, class, score, area (pixels), left, top, width and height.

        Raises:
            ImportError: pandas is not installed.
        """
        return views.to_pandas(self)

    def to_supervision(self) -> list[Any]:
        """Make one `supervision.Detections` for every frame.

        Each holds boxes along the edges of pixels, masks, scores, class ids (1..K) and names. Models that track also
        give the ids of the tracks.

        Raises:
            ImportError: supervision is not installed.
        """
        return views.to_supervision(self)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the video, in pixels."""
        return self.source.result_size if isinstance(self.source, Clip) else (self.source.height, self.source.width)

    @property
    def duration(self) -> float:
        """End of the last picture, in s."""
        return self.measured.duration

    @property
    def times(self) -> NDArray[np.float64]:
        """(T,) times in s at which the segmented pictures are shown."""
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
        """Names of the detected classes, in the order of their ids."""
        names = {one.class_id: one.name for frame in self.frames for one in frame.objects}
        return tuple(names[i] for i in sorted(names))

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All tracks, best first; empty for models that do not track."""
        return self.frames[0].tracks if self.frames else ()

    @property
    def scores(self) -> dict[int, NDArray[np.float64]]:
        """By object id: its (T,) scores in all frames, 0 in frames without it."""
        ids = sorted({one.id for frame in self.frames for one in frame.objects})
        table = {i: np.zeros(len(self.frames)) for i in ids}
        for t, frame in enumerate(self.frames):
            for one in frame.objects:
                table[one.id][t] = one.score
        return table

    @property
    def sounding(self) -> list[dict[str, Any]]:
        """When each object sounds: dicts of id, class_id, class and intervals [[begin, end], ...] in s.

        A model that tracks gives an entry for every track, with its score.
        """
        intervals = Intervals()
        for frame in self.frames:
            intervals.add(frame)
        return intervals.closed(self.duration)

    def save_video(self, path: str | Path, style: Style = PLAIN) -> Path:
        """Write the video with masks painted in, with its own frame rate and sound.

        Args:
            path: The file, which ends in .mp4, .m4v, .mov or .mkv.
            style: How masks are painted.

        Returns:
            The path.

        Raises:
            MediaError: The video of a loaded result is not at hand.
            ValueError: The file has another suffix, or `style` is not a `Style`.
        """
        if Path(path).suffix.lower() not in CONTAINERS:
            raise ValueError(
                f"{path} is not a valid name for the overlay; use a name that ends in {', '.join(CONTAINERS)}"
            )
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
        """Write result.json, masks and other outputs into a folder.

        A result that was there is replaced; other files in the folder stay.

        Args:
            folder: The folder, which is made if it is missing.
            masks: The form of the masks: `png`, `rle` or `npz`. `usual` writes PNG if `save` names masks; None writes
                no masks.
            overlay: Whether overlay.mp4 is written. None, or a `Style`, leaves that to `save`; a `Style` also says how
                masks are painted.
            save: Kinds of output, as `avseg predict --save` takes them.

        Returns:
            The folder.

        Raises:
            ValueError: A kind of output does not exist, or it gathers the videos of a whole run.
            MediaError: The video of a loaded result is not at hand, and more than masks is wanted.
        """
        chosen = choose(save, overlay, masks)
        gathered = [kind for kind in chosen.more if kind.startswith(GATHERED)]
        if gathered:
            raise ValueError(f"{gathered[0]} collects all videos of a run; use avseg.inference.predict_folder")
        if chosen.more and isinstance(self.source, StoredVideo):
            raise self.source.refuse(kinds()[chosen.more[0]].noun)
        model = {"name": self.model, "task": self.task.to_dict()}
        header = ResultHeader(model, self.task, self.fps, chosen.masks, chosen.more, chosen.style)
        return save_frames(Path(folder), self.source, self.frames, self.measured, header, self.explanation)

    def to_prediction(self) -> InstancePrediction:
        """Convert the tracks to an `InstancePrediction`, which metrics and `avseg.io.youtube_vis` take.

        The mask of a silent frame is None.

        Raises:
            ValueError: The model does not track.
        """
        table = TrackTable(self.id)
        for frame in self.frames:
            table.add(frame)
        return table.prediction(self.task)

    def to_coco(self) -> dict[str, Any]:
        """Convert the result to a dictionary in the form of COCO: one image per frame, annotations (RLE), categories.

        Times are those of the whole video, also if a part of it was segmented.
        """
        return coco.to_coco(self.id, self.frames, self.task, begin_of(self.source))
