"""The files of a video in the layout of AVISeg: a JPEG a second, a WAV, and tracks of run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avseg.datasets.vis_table import track_entry, video_entry
from avseg.io.audio import WavStream
from avseg.io.image import write_jpeg
from avseg.types import Rle


class VideoFiles:
    """One video, written second by second: memory holds its run lengths alone."""

    def __init__(self, root: Path, split: str, name: str, sample_rate: int) -> None:
        """
        Args:
            root: The folder of the data set.
            split: Its part.
            name: Of the video.
            sample_rate: Hz of its sound.
        """
        self.folder, self.name = root / split, name
        self.names: list[str] = []
        self._size = (0, 0)
        self._tracks: dict[int, dict[int, Rle]] = {}
        self._sound = WavStream(self.folder / "WAVAudios" / f"{name}.wav", sample_rate)

    def show(self, picture: NDArray[np.uint8] | Tensor, masks: Mapping[int, Rle]) -> None:
        """Write the picture of the next second.

        Args:
            picture: (H, W, 3) uint8, or a tensor of (3, H, W).
            masks: Of what is seen and sounds, by number of the track.
        """
        name = f"{self.name}/{len(self.names):05d}.jpg"
        write_jpeg(self.folder / "JPEGImages" / name, picture)
        self._size = (picture.shape[1], picture.shape[2]) if isinstance(picture, Tensor) else picture.shape[:2]
        for track, mask in masks.items():
            self._tracks.setdefault(track, {})[len(self.names)] = mask
        self.names.append(name)

    def hear(self, sound: Tensor) -> None:
        """Write more sound, (A, S)."""
        self._sound.add(sound)

    def finish(self, classes: Mapping[int, int]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Close the sound.

        Args:
            classes: 1..K, by number of the track.

        Returns:
            The entries of the video and of its tracks, without ids.
        """
        self._sound.close()
        tracks = []
        for number, seen in sorted(self._tracks.items()):
            entry = track_entry(classes[number], [seen.get(k) for k in range(len(self.names))], self._size)
            tracks += [entry] if entry is not None else []
        return video_entry(self.names, self._size), tracks
