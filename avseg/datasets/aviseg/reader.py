"""AVISeg: long videos at one frame a second, and a track of masks for every object, empty while it is silent.

Guo et al., Audio-Visual Instance Segmentation, CVPR 2025. The layout of the folders is on docs/reference/datasets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry
from avseg.data.packing import ClipFile, SplitTables
from avseg.data.sound import read_sound
from avseg.data.tables import ClipFiles, need_shipped
from avseg.datasets.aviseg.config import AVISegConfig
from avseg.datasets.aviseg.truth import Size, TrackAnnotation, Video, read_truth, size_of, track_target
from avseg.io.image import open_image
from avseg.io.packed import is_file, opened
from avseg.types import Clip, Task, TrackTarget

FEATURES = 128
"""Numbers that stand for the sound of a second."""
_ADVICE = (
    "make them with `avseg data prepare aviseg --raw DIR --root DIR --vggish FILE`, where FILE holds the published "
    "weights of VGGish, or let the model process the sound itself (--data.audio wav --model.audio-network small)"
)


class AVISeg(ClipDataset):
    """One split. Frames are read at the size of their files, and truth stays run lengths (`TrackTarget`).

    Training leaves out crowds, masks without a box, and videos in which nothing is left (but `config.silent_videos`).
    """

    config: AVISegConfig

    def __init__(self, config: AVISegConfig, split: str, root: Path) -> None:
        if config.labels_at == "input":
            raise ValueError("tracks of AVISeg are scored at the size of its frames; leave out --data.labels-at input")
        self.config, self.split, self.root = config, split, root
        self.truth = read_truth(root / f"{split}.json")
        faults = [f"{self.truth.path}, {where}: {what}" for where, what in self.truth.faults()]
        if faults:
            more = f" ({len(faults) - 1} more such faults: avseg data check aviseg lists them)" if faults[1:] else ""
            raise ValueError(faults[0] + more)
        self.category_ids = tuple(self.truth.categories)
        self.task = Task("instance", tuple(self.truth.categories.values()))
        self.videos = [video for video in self.truth.videos if self._is_wanted(video)]
        self.ids = [video.name for video in self.videos]
        if config.audio == "features":
            need_shipped(config.audio, [self.files(index).features for index in range(len(self.videos))], _ADVICE)
        self.video_ids = {video.name: video.id for video in self.truth.videos}
        """Number in the file by name, also of videos that are left out."""

    def files(self, index: int) -> ClipFiles:
        """Return the paths of a video's files."""
        video, folder = self.videos[index], self.root / self.split
        return ClipFiles(
            frames=tuple(folder / "JPEGImages" / name for name in video.frames),
            labels=(),
            sound=folder / "WAVAudios" / f"{video.name}.wav",
            features=folder / "FEATAudios" / f"{video.name}.npy",
        )

    def clip_files(self, index: int) -> list[ClipFile]:
        """Frames, the sound, and the vectors that stand for it."""
        video, wav = self.videos[index], self.config.audio == "wav"
        return [
            *(ClipFile("frame", f"{self.split}/JPEGImages/{name}") for name in video.frames),
            ClipFile("sound", f"{self.split}/WAVAudios/{video.name}.wav", wav),
            ClipFile("features", f"{self.split}/FEATAudios/{video.name}.npy", not wav),
        ]

    def tables(self) -> SplitTables:
        """The file of truth, which holds the masks."""
        return SplitTables((f"{self.split}.json",))

    def annotated(self, index: int) -> range:
        """All frames of a video have truth."""
        return range(len(self.videos[index].frames))

    def length(self, index: int) -> int:
        """Return the number of frames of a video."""
        return len(self.videos[index].frames)

    def extent(self, index: int) -> tuple[int, Size]:
        """Frames of a video, and their (H, W): of the file of truth, else of the first frame."""
        video = self.videos[index]
        size = video.size or size_of(video, self.truth.read(self._tracks(video)))
        if size is None:
            picture = open_image(self.files(index).frames[0])
            size = picture.height, picture.width
        return len(video.frames), size

    def sound(self, index: int) -> tuple[Tensor, int]:
        """Return only the sound of a video."""
        return self._sound(self.files(index), self.length(index))[:2]

    def target(self, index: int) -> TrackTarget:
        """Return only the ground truth of a video."""
        video = self.videos[index]
        frames, size = self.extent(index)
        return self._target(video, self.truth.read(self._tracks(video)), size, range(frames))

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a video or some of its frames, resized while reading if a geometry is given.

        Pictures at the size of the files are stored with their colours last, as they were decoded, under the usual
        shape: no transform of ours needs them otherwise.

        Raises:
            FileNotFoundError: a frame, the sound or its features are missing.
            ValueError: a broken file, a frame of another size than its truth, or features of another number of seconds.
        """
        video, files = self.videos[index], self.files(index)
        chosen = range(len(video.frames)) if frames is None else list(frames)
        annotations = self.truth.read(self._tracks(video))
        try:
            size = size_of(video, annotations)
        except ValueError as error:
            raise ValueError(f"{self.truth.path}: {error}") from error
        pictures, size = _read_frames([files.frames[frame] for frame in chosen], size, geometry)
        audio, rate, features = self._sound(files, len(video.frames))
        return Clip(
            id=video.name,
            frames=pictures,
            times=torch.tensor(list(chosen), dtype=torch.float64),
            audio=audio,
            sample_rate=rate,
            target=self._target(video, annotations, size, chosen),
            audio_features=None if features is None else features[list(chosen)],
            output_size=size,
        )

    def _is_wanted(self, video: Video) -> bool:
        if self.split != "train" or self.config.silent_videos:
            return True
        return any(track.boxed for track in self._tracks(video))

    def _tracks(self, video: Video) -> list[TrackAnnotation]:
        """The annotations of a video that count."""
        tracks = self.truth.tracks.get(video.id, [])
        return [track for track in tracks if not track.crowd] if self.split == "train" else tracks

    def _target(
        self, video: Video, annotations: list[dict[str, Any]], size: Size, chosen: Sequence[int]
    ) -> TrackTarget:
        ranks = {category: rank for rank, category in enumerate(self.category_ids, start=1)}
        try:
            return track_target(annotations, size, chosen, ranks, boxed=self.split == "train")
        except ValueError as error:
            raise ValueError(f"{self.truth.path}, video {video.name!r}: {error}") from error

    def _sound(self, files: ClipFiles, seconds: int) -> tuple[Tensor, int, Tensor | None]:
        if self.config.audio == "wav":
            return *read_sound(files.sound, self.config), None
        assert files.features is not None
        silence = torch.zeros(2 if self.config.stereo else 1, 0)
        return silence, self.config.sample_rate, read_features(files.features, seconds)


def read_features(path: Path, seconds: int) -> Tensor:
    """(T, 128) float32: a vector for the sound of every second.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an array of numbers, or of another shape; objects in it are refused, not executed.
    """
    if not is_file(path):
        raise FileNotFoundError(
            f"the features {path} are missing; make them (avseg data prepare aviseg --vggish FILE) or read the sound "
            "(--data.audio wav)"
        )
    try:
        values = np.load(opened(path), allow_pickle=False)
        features = torch.from_numpy(values.astype(np.float32))
    except (ValueError, OSError, EOFError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a complete NPY file of numbers ({error}); prepare or copy it again") from error
    if features.shape != (seconds, FEATURES):
        raise ValueError(
            f"the features {path} are {tuple(features.shape)}, wanted ({seconds}, {FEATURES}): one row for each frame"
        )
    return features


def _read_frames(paths: Sequence[Path], size: Size | None, geometry: Geometry | None) -> tuple[Tensor, Size]:
    """(T, 3, H, W) uint8 and the (H, W) of the files, which is `size` where that is known."""
    pictures = np.zeros((0, 0, 0, 3), np.uint8)
    for place, path in enumerate(paths):
        picture = open_image(path, "RGB")
        size = size or (picture.height, picture.width)
        if (picture.height, picture.width) != size:
            raise ValueError(
                f"the frame {path} is {picture.height} pixels high and {picture.width} wide, but the ground "
                f"truth of its video has {size[0]} and {size[1]}; they must agree"
            )
        pixels = _pixels(picture, geometry)
        if not place:
            pictures = np.empty((len(paths), *pixels.shape), np.uint8)
        pictures[place] = pixels
    assert size is not None
    frames = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    return (frames if geometry is None else frames.contiguous()), size


def _pixels(picture: Image.Image, geometry: Geometry | None) -> NDArray[np.uint8]:
    """(H, W, 3), sized where a geometry is given."""
    if geometry is not None:
        picture = geometry.resize(picture, geometry.spec.interpolation)
    return np.asarray(picture)
