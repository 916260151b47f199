"""Long videos of the world: any of their seconds as picture, sound and truth, without the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.io.rle import encode
from avseg.synth.picture import Picture, iter_frames, render
from avseg.synth.programme import SHOWN_AFTER, VideoSpec, draw_video
from avseg.synth.scene import Scene
from avseg.synth.seconds import render_seconds
from avseg.synth.soundtrack import Soundtrack
from avseg.synth.timbres import SAMPLE_RATE
from avseg.types import Clip, Rle, TrackTarget

Track: TypeAlias = list[NDArray[np.bool_] | None]
"""A mask (H, W) for each frame; None where the body is silent or unseen."""
MIN_SEEN = 0.001
"""A body of which less than this share of the picture shows (or 8 pixels) is unseen."""
MOVIE_FPS = 12
"""Half a second into each second falls on a frame."""


@dataclass(frozen=True, eq=False)
class SynthVideo:
    """A long video before it is rendered. N bodies, T seconds, one frame a second."""

    id: str
    scene: Scene
    soundtrack: Soundtrack
    size: tuple[int, int]
    """(H, W)."""

    @cached_property
    def sounding(self) -> NDArray[np.bool_]:
        """(N, T) which bodies sound, seen or not."""
        return self.soundtrack.bodies_sounding(len(self.scene.bodies), np.arange(self.scene.seconds, dtype=float))

    def picture(self, frames: Sequence[int] | None = None) -> Picture:
        """Frames and the body of each of their pixels, of some seconds or of all."""
        chosen = range(self.scene.seconds) if frames is None else frames
        return render(self.scene, [second + SHOWN_AFTER for second in chosen], self.size)

    def truth(
        self, owners: NDArray[np.uint8], frames: Sequence[int] | None = None
    ) -> dict[int, list[NDArray[np.bool_] | None]]:
        """Visible masks of each sounding body, by its index in the scene.

        Args:
            owners: (T', H, W) of `picture(frames)`.
            frames: The seconds; None: all.
        """
        seconds = list(range(self.scene.seconds) if frames is None else frames)
        bodies = len(self.scene.bodies)
        pixels = np.array([np.bincount(frame.ravel(), minlength=bodies + 1)[1:] for frame in owners])  # (T', N)
        least = max(8, MIN_SEEN * self.size[0] * self.size[1])
        shown = (least <= pixels.reshape(-1, bodies).T) & self.sounding[:, seconds]
        return {
            int(body): [owner == body + 1 if there else None for owner, there in zip(owners, shown[body], strict=True)]
            for body in np.flatnonzero(self.sounding.any(1))
        }

    def to_clip(self, frames: Sequence[int] | None = None, *, stereo: bool = False) -> Clip:
        """The video as the library's type, with truth as tracks; `frames` gives the same as taking them from the whole.

        Only the sound differs then: where no chosen frame is heard there is silence. A body that is never seen while
        it sounds has no track in the whole video.
        """
        picture = self.picture(frames)
        count = len(picture.frames)
        masks = {
            body: [None if mask is None else encode(mask) for mask in track]
            for body, track in self.truth(picture.owners, frames).items()
        }
        if frames is None:
            masks = {body: track for body, track in masks.items() if any(mask is not None for mask in track)}
        return Clip(
            id=self.id,
            frames=torch.from_numpy(np.ascontiguousarray(picture.frames.transpose(0, 3, 1, 2))),
            times=torch.tensor(list(range(count) if frames is None else frames), dtype=torch.float64),
            audio=torch.from_numpy(render_seconds(self.scene, self.soundtrack, frames, stereo=stereo)),
            sample_rate=SAMPLE_RATE,
            target=self._target(masks, count),
        )

    def _target(self, masks: dict[int, list[Rle | None]], frames: int) -> TrackTarget:
        bodies = list(masks)
        return TrackTarget(
            masks=list(masks.values()),
            classes=torch.tensor([self.scene.bodies[body].kind for body in bodies], dtype=torch.int64),
            track_ids=torch.tensor(bodies, dtype=torch.int64) + 1,
            annotated=torch.ones(frames, dtype=torch.bool),
            size=self.size,
        )


def make_video(seed: int, index: int, spec: VideoSpec | None = None) -> SynthVideo:
    """Long video number `index` of the world `seed`: the same arguments give the same bytes in any process.

    Raises:
        ValueError: a negative seed or index.
    """
    spec = spec or VideoSpec()
    return SynthVideo(f"video_{seed}_{index:010d}", *draw_video(seed, index, spec), spec.shape)


def write_movie(path: Path, video: SynthVideo, *, fps: int = MOVIE_FPS, size: tuple[int, int] | None = None) -> Path:
    """A long video as MP4 with stereo sound, moving smoothly; `size` (H, W) may differ, its truth then follows not.

    `write_movie(path, make_video(0, SPLITS["test"], VideoSpec(seconds=(60, 60))))` gives a held-out one of a minute.

    Raises:
        OSError: a folder that cannot be written to.
    """
    from avseg.io.video import write_video

    times = [n / fps for n in range(video.scene.seconds * fps)]
    pictures = (frame for frame, _ in iter_frames(video.scene, times, size or video.size))
    sound = render_seconds(video.scene, video.soundtrack, stereo=True)
    return write_video(path, pictures, fps, sound, SAMPLE_RATE)
