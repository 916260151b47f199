"""Long videos as a data set that lives in memory: what is asked for is made, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from avseg.config import did_you_mean
from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry
from avseg.datasets.world.config import WorldConfig
from avseg.synth.programme import VideoSpec
from avseg.synth.video import SynthVideo, make_video
from avseg.synth.world import SPLITS, TASKS
from avseg.types import Clip


class SynthVideos(ClipDataset):
    """`videos` long videos of the world `seed`, with tracks as truth, like AVISeg.

    For training name `some_frames` first in `DataConfig.augment`: the frames are drawn before anything is read, and
    `read(index, geometry, frames)` makes these pictures alone and the sound of their seconds, with silence in between.
    That is quick enough to train on without a folder (figures in docs/reference/synthetic.md); windows of sound that
    reach
    beyond a frame's own second hear silence there, and a model with such windows should train on files instead.
    """

    def __init__(
        self, videos: int, seed: int = 0, *, split: str = "train", spec: VideoSpec | None = None, stereo: bool = False
    ) -> None:
        """
        Raises:
            ValueError: an unknown split, or more videos than a split holds.
        """
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; {did_you_mean(split, SPLITS)}")
        if not 0 < videos <= SPLITS["val"]:
            raise ValueError(f"got {videos} videos, wanted 1 to {SPLITS['val']}")
        self.spec, self.seed, self.split, self.stereo = spec or VideoSpec(), seed, split, stereo
        self.task, self.suite = TASKS["instance"], "aviseg"
        self.config = WorldConfig(kind="instance", stereo=stereo)
        self.ids = [f"video_{seed}_{SPLITS[split] + i:010d}" for i in range(videos)]

    def annotated(self, index: int) -> Sequence[int]:
        """All frames."""
        return range(self.length(index))

    def length(self, index: int) -> int:
        """One frame a second."""
        return self.video(index).scene.seconds

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """A video, sized by `geometry`; or some of its frames, with the sound of their seconds alone."""
        clip = self.video(index).to_clip(frames, stereo=self.stereo)
        return clip if geometry is None else geometry(clip)

    def video(self, index: int) -> SynthVideo:
        """Video `index` with all that is known of it."""
        if not 0 <= index < len(self):
            raise IndexError(f"video {index} of a data set of {len(self)}")
        return _video(self.seed, SPLITS[self.split] + index, self.spec)


@lru_cache(maxsize=2048)
def _video(seed: int, index: int, spec: VideoSpec) -> SynthVideo:
    """Drawing a scene takes longer than showing a few of its frames, and needs little memory."""
    return make_video(seed, index, spec)
