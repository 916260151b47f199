"""Recording a stream to a file that stays playable however the writer ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from avseg.io.video_sound import Piece
from avseg.io.video_writer import Coding, VideoWriter
from avseg.live.ring import SoundRing
from avseg.live.stream import LiveFrame

CODING = Coding("libx264", "yuv420p", {"crf": "23", "preset": "superfast", "bf": "0", "g": "30"})
"""Encoder settings: three times as fast as for finished videos and coarser, to leave time for the model."""
USUAL_RATE = 25.0
"""Nominal frames per second in the file; every picture has its own time."""


class Recording:
    """Writes the overlay with the sound of the stream as MP4 in fragments of a second."""

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        """
        Args:
            path: the file, NAME.mp4. It is made when the first picture comes.
            overwrite: whether one that is there may be replaced.

        Raises:
            ValueError: another kind of file, one that is there, or one that cannot be written.
        """
        if path.suffix.lower() != ".mp4":
            raise ValueError(f"{path} is not the name of an MP4 file; use --out NAME.mp4")
        if path.exists() and not overwrite:
            raise ValueError(f"{path} already exists; choose another name, or use --overwrite")
        _check_place(path)
        self.path = path
        self._writer: VideoWriter | None = None
        self._begin = self._last = 0.0
        self._closing = False

    def write(self, frame: LiveFrame, sound: SoundRing | None) -> None:
        """Write the next picture; the first one determines whether the file has sound."""
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._begin = frame.result.time
            pieces = None if sound is None else self._pieces(sound)
            self._writer = VideoWriter(self.path, USUAL_RATE, sound=pieces, coding=CODING, in_fragments=True)
        self._last = frame.result.time - self._begin
        self._writer.write(frame.painted, self._last)

    def close(self) -> None:
        """Write the rest; nothing if there was no picture."""
        self._closing = True
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close(self._last + 1 / USUAL_RATE)

    def _pieces(self, sound: SoundRing) -> Iterator[Piece]:
        for piece in sound.pieces(self._begin):
            if self._closing and not piece[1].shape[1]:
                return
            yield piece


def _check_place(path: Path) -> None:
    """
    Raises:
        ValueError: a folder, or a place in which no file can be made; nobody should learn that after the first picture.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file with --out")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"{path} cannot be written: no new file can be created in {there}; choose another place with --out"
        )
