"""The base class of data sets, and subsets."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from torch import Tensor

from avseg.data.config import DataConfig
from avseg.data.geometry import Geometry
from avseg.data.packing import ClipFile, SplitTables
from avseg.data.scenarios import Contrast
from avseg.types import IGNORE, Clip, DenseTarget, Target, Task


class EmptySplitError(ValueError):
    """Raised for a split without clips."""


class ClipDataset(ABC):
    """A data set reads clips; it never augments.

    A subclass sets `task` and `ids` and has `__getitem__`, or `read` where it can size pictures while it reads them or
    read some frames alone. Where it knows frames without reading them it has `annotated` and `length` as well: then
    frames that training draws are drawn first, and no others are read.
    """

    task: Task
    suite: str = ""
    """Its metric suite, a name in `avseg.metrics.SUITES`; `build_dataset` fills in that of the record."""
    config: DataConfig = DataConfig()
    """How clips are augmented, sized and scored; where a class has none, the defaults under the name of the class."""
    ids: list[str]
    """One name per clip, in the order of the data set."""
    batch_frames: int | None = None
    """Frames to which every batch is padded; None: those of its longest clip."""
    video_ids: Mapping[str, int] = MappingProxyType({})
    """Numbers of the videos by their names, where results are exchanged in the form of YouTube-VIS; elsewhere none."""
    category_ids: Sequence[int] = ()
    """Numbers of the classes there, in the order of the task."""
    knows_frames: bool = False
    """Whether `annotated` and `length` tell of a clip without reading it; follows from whether a class has them."""
    contrast: Contrast | None = None
    """The rule that was published for it by which the sound of one clip does not belong to the picture of another."""

    def __init_subclass__(cls) -> None:
        """
        Raises:
            TypeError: no way to read a clip, or one that `read` would pass by; one of `annotated` and `length` alone.
        """
        super().__init_subclass__()
        if cls.config is ClipDataset.config:
            cls.config = DataConfig(name=cls.__name__)
        if cls.read is ClipDataset.read and cls.__getitem__ is ClipDataset.__getitem__:
            raise TypeError(f"the data set {cls.__name__} cannot read clips; define __getitem__ or read")
        if "__getitem__" in vars(cls) and cls.read is not ClipDataset.read:
            raise TypeError(
                f"the data set {cls.__name__} is read by its method read; change that instead of __getitem__"
            )
        told = [cls.annotated is not ClipDataset.annotated, cls.length is not ClipDataset.length]
        if any(told) and not all(told):
            raise TypeError(
                f"the data set {cls.__name__} defines only one of annotated and length; define both or neither"
            )
        cls.knows_frames = all(told)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Clip:
        return self.read(index)

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """A clip, sized as `geometry(dataset[index])` is, or `frames` of it as `take` gives them.

        A subclass that has this may give those bits without opening pictures of other frames, and without ever holding
        labels at the size of the files.
        """
        clip = self[index]
        clip = clip if frames is None else clip.take(frames)
        return clip if geometry is None else geometry(clip)

    def annotated(self, index: int) -> Sequence[int]:
        """Return the annotated frames of a clip.

        Raises:
            ValueError: the clip has no truth.
        """
        return self.target(index).annotated.nonzero().flatten().tolist()

    def length(self, index: int) -> int:
        """How many frames a clip has."""
        return len(self[index].frames)

    def extent(self, index: int) -> tuple[int, tuple[int, int]]:
        """How many frames a clip has, and their size (H, W)."""
        frames = self[index].frames
        return len(frames), (frames.shape[2], frames.shape[3])

    def target(self, index: int) -> Target:
        """Return only the ground truth of a clip.

        Raises:
            ValueError: the clip has none.
        """
        clip = self[index]
        if clip.target is None:
            raise ValueError(f"clip {clip.id!r} has no ground truth to be scored against")
        return clip.target

    def sound(self, index: int) -> tuple[Tensor, int]:
        """Return only the sound of a clip, (A, S), and its rate in Hz; a subclass may give it without opening
        pictures.
        """
        clip = self[index]
        return clip.audio, clip.sample_rate

    def heard_classes(self, index: int) -> frozenset[str]:
        """Return the classes that sound in a clip, by name, or by number without names; empty if unknown.

        By default they are those of its truth; a subclass may tell them without reading that.
        """
        target = self.target(index)
        if not isinstance(target, DenseTarget):
            found = target.classes.tolist()
        elif target.sounding is not None:
            found = (target.sounding.any(0).nonzero().flatten() + 1).tolist()
        else:
            values = target.labels.flatten().bincount().nonzero().flatten().tolist() if self.task.classes else []
            found = [value for value in values if value not in (0, IGNORE)]
        names = self.task.classes
        return frozenset(names[kind - 1] if 0 < kind <= len(names) else str(kind) for kind in found)

    def unseen_sound(self, index: int, seed: int) -> Tensor | None:
        """(A, S) of sound made by nothing that the clip shows, where the data set can make such a sound."""
        return None

    def clip_files(self, index: int) -> Sequence[ClipFile]:
        """All files that a clip may be read from, the same and in the same order whatever the options of reading.

        A data set that has this and `tables`, and that reads through `avseg.io`, can be packed into shards.

        Raises:
            ValueError: the data set does not say.
        """
        raise ValueError(f"the data set {self.config.name!r} does not list its files, so it cannot be packed")

    def tables(self) -> SplitTables:
        """Return the tables needed to open the split, besides the files of its clips.

        Raises:
            ValueError: the data set does not say.
        """
        raise ValueError(f"the data set {self.config.name!r} does not list its files, so it cannot be packed")

    def place_of(self, name: str) -> Path:
        """Where a file lies that `clip_files` or `tables` names.

        Raises:
            ValueError: the data set has no folder.
        """
        root: Path | None = getattr(self, "root", None)
        if root is None:
            raise ValueError(f"the data set {self.config.name!r} has no folder, so there is nothing to pack")
        return root / name

    def content_of(self, index: int, name: str) -> bytes:
        """Return the content to pack for a file in `clip_files`.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.place_of(name).read_bytes()


class Subset(ClipDataset):
    """Some clips of a data set, in a given order, as a data set; an index may stand there twice."""

    def __init__(self, dataset: ClipDataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, list(indices)
        self.task, self.suite, self.config = dataset.task, dataset.suite, dataset.config
        self.ids = [dataset.ids[index] for index in self.indices]
        self.batch_frames, self.knows_frames = dataset.batch_frames, dataset.knows_frames
        self.contrast = dataset.contrast

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        return self.dataset.read(self.indices[index], geometry, frames)

    def annotated(self, index: int) -> Sequence[int]:
        return self.dataset.annotated(self.indices[index])

    def length(self, index: int) -> int:
        return self.dataset.length(self.indices[index])

    def target(self, index: int) -> Target:
        return self.dataset.target(self.indices[index])

    def sound(self, index: int) -> tuple[Tensor, int]:
        return self.dataset.sound(self.indices[index])

    def heard_classes(self, index: int) -> frozenset[str]:
        return self.dataset.heard_classes(self.indices[index])

    def unseen_sound(self, index: int, seed: int) -> Tensor | None:
        return self.dataset.unseen_sound(self.indices[index], seed)


def need_dataset(dataset: object) -> None:
    """
    Raises:
        TypeError: it is no `ClipDataset`.
    """
    if not isinstance(dataset, ClipDataset):
        raise TypeError(
            f"{type(dataset).__name__} is not a data set of clips; derive its class from avseg.data.ClipDataset"
        )


def tasks_apart(model: Task, data: Task, name: str = "") -> str:
    """A sentence on how the tasks of a model and of a data set (of that name) differ."""
    said = f"the model solves {_words(model)}, the data set {f'{name!r} ' if name else ''}has {_words(data)}"
    if model.kind == data.kind and len(model.classes) == len(data.classes):
        pairs = enumerate(zip(model.classes, data.classes, strict=True), start=1)
        place, one, other = next((place, *pair) for place, pair in pairs if pair[0] != pair[1])
        said += f" with other names or another order (class {place} is {one!r} in the model, {other!r} in the data)"
    return said


def _words(task: Task) -> str:
    article, count = "an" if task.kind == "instance" else "a", len(task.classes)
    return f"{article} {task.kind} task" + (f" of {count} class{'es' * (count > 1)}" if count else "")
