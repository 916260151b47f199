"""A folder of videos as a data set: frames at one rate, sound, and the labels next to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avseg.data.base import ClipDataset, EmptySplitError
from avseg.data.geometry import Geometry, channels_first
from avseg.data.packing import ClipFile, SplitTables, below
from avseg.data.tables import ClipFiles
from avseg.datasets.folder.config import FolderConfig
from avseg.datasets.folder.decode import CacheKey, Decoded, decoded, is_kept
from avseg.datasets.folder.find import FolderTruth, Kind, scan
from avseg.datasets.folder.labels import Labels
from avseg.datasets.folder.packing import CACHE, cut_sound, kept_name, place_of, tables_of
from avseg.datasets.folder.records import FolderVideo
from avseg.datasets.folder.splits import hash_splits, read_splits, split_table
from avseg.io.audio import open_wav
from avseg.io.image import open_image
from avseg.io.packed import is_assumed, is_held
from avseg.progress import tracked
from avseg.types import IGNORE, Clip, DenseTarget, Task, TrackTarget

SUITES = {"binary": "avsbench_object", "semantic": "avsbench_semantic", "instance": "aviseg"}


@dataclass(frozen=True)
class _Piece:
    """A clip: some steps of a video."""

    video: FolderVideo
    decoded: Decoded
    begin: int
    end: int
    """The step behind its last one."""

    @property
    def name(self) -> str:
        """That of the video where it is whole, else with the step at which it begins."""
        whole = self.begin == 0 and self.end == self.decoded.length
        return self.video.name if whole else f"{self.video.name}_{self.begin:06d}"

    @property
    def own_sound(self) -> Path:
        """The file of its sound alone, which only shards have."""
        return self.decoded.folder / f"sound_{self.begin:06d}.wav"


class FolderDataset(ClipDataset):
    """One split. Videos are decoded once and kept as pictures and sound; reading opens what a clip shows."""

    config: FolderConfig

    def __init__(
        self, config: FolderConfig, root: Path, kind: Kind, classes: tuple[str, ...], pieces: Sequence[_Piece]
    ) -> None:
        self.config, self.kind, self.classes, self.pieces = config, kind, classes, list(pieces)
        self.root = root
        self.task = Task("binary") if kind == "binary" else Task(kind, classes)
        self.suite = SUITES[kind]
        self.ids = [piece.name for piece in pieces]
        self._rosters: dict[str, dict[int, int]] = {}
        if kind == "instance":
            self.video_ids = {name: number for number, name in enumerate(self.ids, start=1)}
            self.category_ids = range(1, len(classes) + 1)

    def files(self, index: int) -> ClipFiles:
        """Return the paths of a clip's files: label maps in the folder, others in the cache. All frames must have
        label maps.
        """
        piece = self.pieces[index]
        labels = [self._labels_of(piece, step) for step in range(piece.begin, piece.end)]
        whole = tuple(path for path in labels if path is not None)
        frames = tuple(piece.decoded.frame(step) for step in range(piece.begin, piece.end))
        return ClipFiles(frames, whole if len(whole) == len(labels) else (), piece.decoded.sound)

    def clip_files(self, index: int) -> list[ClipFile]:
        """Decoded frames, label maps, and the sound of the clip alone."""
        piece, found = self.pieces[index], self.pieces[index].decoded
        name = partial(kept_name, piece.video.name, found.folder)
        labels = [self._labels_of(piece, step) for step in range(piece.begin, piece.end)]
        return [
            *(ClipFile("frame", name(found.frame(step).name)) for step in range(piece.begin, piece.end)),
            *(ClipFile("label", below(self.root, path)) for path in labels if path is not None),
            *([ClipFile("sound", name(piece.own_sound.name))] if found.channels else []),
        ]

    def tables(self) -> SplitTables:
        """Labels in files, the table of splits, and the names of videos and label maps."""
        kept = {piece.video.name: piece.decoded.folder for piece in self.pieces}
        return tables_of(self.root, self.config.split, kept)

    def place_of(self, name: str) -> Path:
        """The table of splits and the decoded frames may lie elsewhere."""
        return place_of(name, self.root, self.config.split, self.config.cache or self.root / CACHE)

    def content_of(self, index: int, name: str) -> bytes:
        """The sound is cut to the clip."""
        piece = self.pieces[index]
        if name.endswith(f"/{piece.own_sound.name}"):
            return cut_sound(piece.decoded.sound, *self._samples(piece))
        return super().content_of(index, name)

    def annotated(self, index: int) -> list[int]:
        """Return the annotated frames of a clip."""
        piece = self.pieces[index]
        return [step - piece.begin for step in range(piece.begin, piece.end) if step in piece.decoded.labelled]

    def length(self, index: int) -> int:
        """Return the number of frames of a clip."""
        return self.pieces[index].end - self.pieces[index].begin

    def extent(self, index: int) -> tuple[int, tuple[int, int]]:
        """Frames of a clip, and their (H, W)."""
        return self.length(index), self.pieces[index].decoded.size

    def sound(self, index: int) -> tuple[Tensor, int]:
        """Return only the sound of a clip, as long as its frames last; silence where the video has none."""
        piece, rate = self.pieces[index], self.config.sample_rate
        begin, end = self._samples(piece)
        found = piece.decoded
        channels = 2 if self.config.stereo else 1
        if not found.channels:
            return torch.zeros(channels, end - begin), rate
        if channels > found.channels:
            raise ValueError(
                f"{piece.video.path} has mono sound but the recipe needs stereo; use videos with "
                "stereo sound or a mono recipe (--data.no-stereo)"
            )
        own = piece.own_sound
        part = open_wav(own).part() if is_held(own) else open_wav(found.sound).part(begin, end)
        part = part if channels == 2 else part.mean(0, keepdims=True)
        audio = np.zeros((channels, end - begin), np.float32)
        audio[:, : part.shape[1]] = part
        return torch.from_numpy(audio), rate

    def _samples(self, piece: _Piece) -> tuple[int, int]:
        """The first sample of a clip, and that behind its last one."""
        rate, fps = self.config.sample_rate, self.config.fps
        return round(piece.begin / fps * rate), round(piece.end / fps * rate)

    def target(self, index: int) -> DenseTarget | TrackTarget:
        """Return only the ground truth of a clip."""
        return self._target(self.pieces[index], range(self.length(index)))

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """A clip, or some frames of it, sized where a geometry is given.

        Times count from the begin of the clip. `target.sounding` (T, K) says which classes the labels show.

        Raises:
            FileNotFoundError, ValueError: a mask that is gone, or of another size than its video, or of no class.
        """
        piece = self.pieces[index]
        chosen = range(piece.end - piece.begin) if frames is None else list(frames)
        steps = [piece.begin + frame for frame in chosen]
        pictures = [channels_first(open_image(piece.decoded.frame(step), "RGB")) for step in steps]
        audio, rate = self.sound(index)
        times = torch.tensor(list(chosen), dtype=torch.float64) / self.config.fps
        shown = torch.tensor([piece.decoded.shown[step] for step in steps], dtype=torch.float64)
        shown = shown - piece.begin / self.config.fps
        target = self._target(piece, chosen)
        clip = Clip(
            id=piece.name,
            frames=torch.from_numpy(np.stack(pictures)),
            times=times,
            audio=audio,
            sample_rate=rate,
            target=target,
            output_size=piece.decoded.size,
            shown=None if torch.allclose(shown, times, rtol=0, atol=1e-6) else shown,
        )
        return clip if geometry is None else geometry(clip)

    def _labels_of(self, piece: _Piece, step: int) -> Path | None:
        place = piece.decoded.labelled.get(step)
        return None if place is None else piece.video.labels.frames[place].labels

    def _target(self, piece: _Piece, chosen: Sequence[int]) -> DenseTarget | TrackTarget:
        labels = self._labels(piece)
        places = [piece.decoded.labelled.get(piece.begin + frame) for frame in chosen]
        if self.kind == "instance":
            return labels.tracks([place for place in places if place is not None], self._roster(piece))
        codes = np.zeros((len(places), *piece.decoded.size), np.uint8)
        for number, place in enumerate(places):
            if place is not None:
                codes[number] = labels.map(place)
        annotated = torch.tensor([place is not None for place in places])
        return DenseTarget(torch.from_numpy(codes.astype(np.int64)), annotated, self._sounding(codes))

    def _labels(self, piece: _Piece) -> Labels:
        return Labels(piece.video, self.classes, self.kind == "binary", piece.decoded.size)

    def _roster(self, piece: _Piece) -> dict[int, int]:
        """Looking for all objects of a video takes longer than reading a few of its frames."""
        if piece.video.name not in self._rosters:
            self._rosters[piece.video.name] = self._labels(piece).roster(sorted(piece.decoded.labelled.values()))
        return self._rosters[piece.video.name]

    def _sounding(self, codes: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor | None:
        """(T, K) which classes the labels show; None where they are binary."""
        if self.kind == "binary":
            return None
        shown = np.stack([np.bincount(code.ravel(), minlength=IGNORE + 1) > 0 for code in codes])
        return torch.from_numpy(shown[:, 1 : len(self.classes) + 1].copy())


@dataclass(frozen=True)
class Folder:
    """A folder that was looked through: its videos by split, and what is wrong."""

    config: FolderConfig
    truth: FolderTruth
    splits: dict[str, str]
    """Split by the name of the video; those that are in none are not read."""

    @classmethod
    def of(cls, config: FolderConfig, root: Path) -> Folder:
        """Look through `root`. No video is opened.

        Raises:
            FileNotFoundError, ValueError: no video, or a table of splits that does not fit.
        """
        truth = scan(root)
        names = sorted([*truth.bare, *(video.name for video in truth.videos)])
        faulty = {name for name, _ in truth.faults}
        table = split_table(root, config.split)
        if table is not None:
            return cls(config, truth, read_splits(table, sorted({*names, *faulty})))
        return cls(config, truth, hash_splits(names))

    @cached_property
    def kind(self) -> tuple[Kind, str]:
        """The task, and why.

        Raises:
            ValueError: a task is asked for that the labels cannot give.
        """
        found, why = replace(self.truth, videos=self.videos()).kind()
        wanted = self.config.task
        order: list[Kind] = ["binary", "semantic", "instance"]
        if wanted == "auto" or wanted == found:
            return found, why
        if order.index(wanted) > order.index(found):
            raise ValueError(f"the labels are {found}, because {why}; they cannot be used with --data.task {wanted}")
        return wanted, "--data.task is given"

    def videos(self, split: str = "") -> list[FolderVideo]:
        """Videos with labels, of one split or of all."""
        return [v for v in self.truth.videos if v.name in self.splits and split in ("", self.splits[v.name])]

    def faults(self) -> list[tuple[str, str]]:
        """(video or file, sentence) of what does not fit, without opening a video."""
        bare = [name for name in self.truth.bare if name in self.splits and not self.truth.unread]
        more = "draw some, remove it from the folder, or leave it out of split.csv"
        return [*self.truth.faults, *((name, f"the video has no masks and no annotations; {more}") for name in bare)]

    def key(self) -> CacheKey:
        """Return the cache key of each video."""
        return CacheKey(
            self.config.fps, 0 if self.kind[0] == "instance" else self.config.steps, self.config.sample_rate
        )

    @property
    def cache(self) -> Path:
        """Where frames and sounds are kept."""
        return self.config.cache or self.truth.root / CACHE

    def is_kept(self, video: FolderVideo) -> bool:
        """Whether a video need not be decoded again."""
        return is_kept(video, self.key(), self.cache)

    def decoded(self, video: FolderVideo) -> Decoded:
        """Frames and sound of a video."""
        return decoded(video, self.key(), self.cache)

    def pieces(self, video: FolderVideo, found: Decoded) -> list[_Piece]:
        """The clips of a video that have labels.

        Raises:
            ValueError: tracks with steps in between that nobody looked at, or labels of no picture.
        """
        if found.beyond:
            raise ValueError(_beyond(video, found))
        labelled = sorted(found.labelled)
        if self.kind[0] == "instance":
            begin, end = labelled[0], labelled[-1] + 1
            if end - begin > len(labelled):
                gap = next(step for step in range(begin, end) if step not in found.labelled)
                raise ValueError(
                    f"{video.labels.source} has no labels at step {gap} of {begin} to {end - 1} (fps "
                    f"{self.config.fps:g}); tracks need every step: add the labels, or use --data.task semantic"
                )
            return [_Piece(video, found, begin, end)]
        size = self.config.steps
        starts = sorted({step // size * size for step in labelled})
        return [_Piece(video, found, start, min(start + size, found.length)) for start in starts]


def _beyond(video: FolderVideo, found: Decoded) -> str:
    first = video.labels.frames[found.beyond[0]]
    more = f" (and {len(found.beyond) - 1} more)" if found.beyond[1:] else ""
    return (
        f"{first.labels or video.labels.source} is of {first.when}{more}, but {video.path.name} ends at "
        f"{found.end:.2f} s and has {found.pictures} pictures; correct the name or --data.fps"
    )


def open_folder(config: FolderConfig, split: str, root: Path) -> FolderDataset:
    """One split of a folder; its videos are decoded where that has not been done.

    Raises:
        FileNotFoundError, ValueError: no videos, masks without a video or the reverse, files that do not fit, an empty
            split.
    """
    folder = Folder.of(config, root)
    faults = [f"{root.name}/{where}: {what}" for where, what in folder.faults()]
    if faults:
        more = f" ({len(faults) - 1} more such faults: avseg data check folder lists them)" if faults[1:] else ""
        raise ValueError(faults[0] + more)
    videos = folder.videos(split)
    if not videos:
        counts = [f"{sum(s == one for s in folder.splits.values())} {one}" for one in ("train", "val", "test")]
        raise EmptySplitError(
            f"the split {split} of {root} has no video ({', '.join(counts)}); list names and splits in "
            f"{root / 'split.csv'}"
        )
    new = [video for video in videos if not folder.is_kept(video)]
    if new and is_assumed(root):
        raise ValueError(
            f"the shards hold no frames of {new[0].name} for these options (--data.fps {config.fps:g}, "
            f"--data.clip-seconds {config.clip_seconds:g}, --data.sample-rate {config.sample_rate}); pack the folder "
            "again with the options of the recipe"
        )
    for video in tracked(new, f"decode {split}", "video") if new else ():
        folder.decoded(video)
    pieces = [piece for video in videos for piece in folder.pieces(video, folder.decoded(video))]
    return FolderDataset(config, root, folder.kind[0], folder.truth.classes, pieces)
