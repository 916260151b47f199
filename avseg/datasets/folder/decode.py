"""Decoding a video once: its frames at the wanted times and its sound, cached on disk.

Seeking would be exact only in files whose stamps are; the pass goes by the clock of `avseg.io.pictures`, as prediction
does, so that a mask lies on the very picture that it was drawn on.
"""

from __future__ import annotations

import errno
import heapq
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.datasets.folder.records import FolderVideo, LabelledFrame
from avseg.io.audio import write_wav
from avseg.io.files import folder_aside, write_text
from avseg.io.image import write_jpeg
from avseg.io.pictures import EARLY, Pictures
from avseg.io.video_sound import read_audio

VERSION = 1
INDEX, SOUND = "index.json", "sound.wav"
STEP_EARLY = 1e-4
"""Share of a step; times of files are rounded."""
Draw = Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class CacheKey:
    """The options that frames and sound of a video depend on."""

    fps: float
    steps: int
    """Frames of a clip; 0: the video is one clip, and all of its frames are kept."""
    sample_rate: int


@dataclass(frozen=True)
class Decoded:
    """The decoded content of a video: steps of the rate, each with one picture."""

    folder: Path
    length: int
    """Steps of the whole video."""
    end: float
    """s, the end of its last picture."""
    pictures: int
    """Pictures that it has."""
    size: tuple[int, int]
    """(H, W)."""
    channels: int
    """Number of audio channels; 0: no sound."""
    shown: dict[int, float]
    """s, when the picture of a step is shown; steps of clips without labels are left out."""
    labelled: dict[int, int]
    """By step, the place of its labels in `FolderVideo.labels.frames`."""
    beyond: tuple[int, ...]
    """Places of labels that no picture of the video has."""
    crowded: tuple[int, ...]
    """Places of labels replaced by others of the same step."""

    def frame(self, step: int) -> Path:
        """The picture of a step."""
        return self.folder / f"{step:06d}.jpg"

    @property
    def sound(self) -> Path:
        return self.folder / SOUND


def decoded(video: FolderVideo, key: CacheKey, cache: Path) -> Decoded:
    """Frames and sound of a video, from the cache or decoded now.

    Args:
        video: With its labels.
        key: Rate, length of clips, rate of the sound.
        cache: The folder of all that is kept.

    Raises:
        MediaError: the video cannot be read.
        ValueError: the cache cannot be written.
    """
    place = cache / video.name / _entry(video, key)
    if not (place / INDEX).is_file():
        try:
            with folder_aside(place) as aside:
                _fill(video, key, aside)
                if not (place / INDEX).is_file():  # another process may have been quicker
                    aside.replace(place)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            raise ValueError(
                f"the decoded frames of {video.path.name} cannot be written to {cache} "
                f"({error.strerror}); choose another folder (--data.cache DIR)"
            ) from error
        _forget(place)
    return _read(place)


def is_kept(video: FolderVideo, key: CacheKey, cache: Path) -> bool:
    """Whether frames and sound of a video are in the cache."""
    return (cache / video.name / _entry(video, key) / INDEX).is_file()


def _entry(video: FolderVideo, key: CacheKey) -> str:
    facts = video.path.stat()
    wanted = [(frame.when.unit, frame.when.value, frame.drawn) for frame in video.labels.frames]
    text = json.dumps([VERSION, facts.st_size, facts.st_mtime_ns, wanted])
    return f"{_prefix(key)}{sha256(text.encode()).hexdigest()[:16]}"


def _prefix(key: CacheKey) -> str:
    return f"{key.fps:g}-{key.steps}-{key.sample_rate}-"


def _forget(place: Path) -> None:
    """Remove what was kept of an earlier version of the video or of its labels."""
    prefix = place.name.rpartition("-")[0]
    for other in place.parent.glob(f"{prefix}-*"):
        if other != place:
            for path in other.iterdir():
                path.unlink(missing_ok=True)
            other.rmdir()


def _read(place: Path) -> Decoded:
    found: dict[str, Any] = json.loads((place / INDEX).read_text(encoding="utf-8"))
    steps: list[tuple[int, float, int | None]] = found["steps"]
    return Decoded(
        folder=place,
        length=found["length"],
        end=found["end"],
        pictures=found["pictures"],
        size=(found["size"][0], found["size"][1]),
        channels=found["channels"],
        shown={step: shown for step, shown, _ in steps},
        labelled={step: label for step, _, label in steps if label is not None},
        beyond=tuple(found["beyond"]),
        crowded=tuple(found["crowded"]),
    )


@dataclass
class _Step:
    """The best picture so far for one step."""

    rank: tuple[int, float]
    """Lower is better: pictures that were drawn on, then others with labels; last that at the begin."""
    shown: float
    draw: Draw
    label: int | None


@dataclass
class _Pass:
    """The state of the pass over one video."""

    frames: Sequence[LabelledFrame]
    key: CacheKey
    folder: Path
    open: dict[int, _Step] = field(default_factory=dict)
    written: list[tuple[int, float, int | None]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    crowded: list[int] = field(default_factory=list)
    length: int = 0
    size: tuple[int, int] = (0, 0)

    def step_of(self, seconds: float) -> int:
        return math.floor(seconds * self.key.fps + STEP_EARLY)

    def offer(self, step: int, shown: float, draw: Draw, label: int | None) -> None:
        """A picture that may stand for a step; without a label that at its begin."""
        if label is None:
            self.length = step + 1
        else:
            self.seen.add(label)
        new, old = _Step(self._rank(label, shown), shown, draw, label), self.open.get(step)
        if old is None or new.rank < old.rank:
            self.open[step] = new
        loser = old if self.open[step] is new else new
        if loser is not None and loser.label is not None and self.frames[loser.label].drawn:
            self.crowded.append(loser.label)

    def _rank(self, label: int | None, shown: float) -> tuple[int, float]:
        if label is None:
            return 2, 0.0
        return (0 if self.frames[label].drawn else 1), shown

    def close(self, before: float) -> None:
        """Write the clips that end before a time, if they have labels."""
        size = self.key.steps or 1
        done = sorted({step // size for step in self.open if (step // size + 1) * size / self.key.fps <= before})
        for clip in done:
            steps = sorted(step for step in self.open if step // size == clip)
            if not self.key.steps or any(self.open[step].label is not None for step in steps):
                for step in steps:
                    self._write(step, self.open[step])
            for step in steps:
                del self.open[step]

    def _write(self, step: int, one: _Step) -> None:
        picture = one.draw()
        self.size = (picture.shape[0], picture.shape[1])
        write_jpeg(self.folder / f"{step:06d}.jpg", picture)
        self.written.append((step, one.shown, one.label))


def _fill(video: FolderVideo, key: CacheKey, folder: Path) -> None:
    """Decode a video into `folder`; index.json is written last."""
    frames = video.labels.frames
    state = _Pass(frames, key, folder)
    pictures = Pictures(video.path)
    by_number = {int(frame.when.value): place for place, frame in enumerate(frames) if frame.when.unit == "frame"}
    ticks = _ticks(frames, key.fps)
    tick = next(ticks)
    last: tuple[float, Draw] | None = None
    for number, (time, draw) in enumerate(pictures.timed()):
        while last is not None and tick[0] < time - EARLY:
            state.offer(state.step_of(tick[0]), tick[0], last[1], tick[1])
            tick = next(ticks)
        if number in by_number:
            state.offer(state.step_of(time), time, draw, by_number[number])
        last = (time, draw)
        state.close(time - 2 * EARLY)
    while last is not None and tick[0] < pictures.end - EARLY:
        state.offer(state.step_of(tick[0]), tick[0], last[1], tick[1])
        tick = next(ticks)
    state.close(math.inf)
    if not state.written and last is not None:
        state.size = last[1]().shape[:2]
    sound = read_audio(video.path, key.sample_rate)
    channels = 0
    if sound is not None and sound[0].shape[1]:
        audio = sound[0] if len(sound[0]) <= 2 else _two(video.path, key.sample_rate)
        channels = len(audio)
        write_wav(folder / SOUND, audio, key.sample_rate)
    index = {
        "version": VERSION,
        "length": state.length,
        "end": pictures.end,
        "pictures": pictures.count,
        "size": state.size,
        "channels": channels,
        "steps": state.written,
        "beyond": [place for place in range(len(frames)) if place not in state.seen],
        "crowded": state.crowded,
    }
    write_text(folder / INDEX, json.dumps(index) + "\n")


def _ticks(frames: Sequence[LabelledFrame], fps: float) -> Iterator[tuple[float, int | None]]:
    """(s, place of labels) of the wanted times, ascending: the begins of steps, and times with labels. No end."""
    timed = [(seconds, place) for place, frame in enumerate(frames) if (seconds := frame.when.seconds(fps)) is not None]
    steps = ((step / fps, None) for step in count())
    return heapq.merge(steps, sorted(timed), key=lambda tick: tick[0])


def _two(path: Path, sample_rate: int) -> torch.Tensor:
    sound = read_audio(path, sample_rate, 2)
    assert sound is not None
    return sound[0]
