"""AVSBench-Single+: one picture with a second of sound a sample, in 23 classes or binary ("salient").

Chen et al., A Closer Look at Audio-Visual Semantic Segmentation, 2023. The data were never made public; the layout is
that of the published reader (docs/reference/datasets.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from avseg.config import did_you_mean
from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry, channels_first
from avseg.data.packing import ClipFile, SplitTables
from avseg.data.sound import read_sound
from avseg.data.tables import ClipFiles, check_names, read_table
from avseg.datasets.single.classes import single_classes
from avseg.datasets.single.config import SingleConfig
from avseg.io.image import open_image, read_index
from avseg.types import IGNORE, Clip, DenseTarget, Task

COLUMNS = ("name", "category", "split")


class Single(ClipDataset):
    """One split; with `config.binary` the labels are those of `salient_labels`."""

    config: SingleConfig

    def __init__(self, config: SingleConfig, split: str, root: Path) -> None:
        table = read_table(root / "data.csv", [(name, None) for name in COLUMNS])
        check_names(root / "data.csv", table, ["name"])
        named = [_categories(row["category"], f"{root / 'data.csv'} line {i}") for i, row in enumerate(table, start=2)]
        self.config, self.split, self.root = config, split, root
        self.rows = [row for row in table if row["split"] == split]
        self.ids = [row["name"] for row in self.rows]
        self.categories = [found for row, found in zip(table, named, strict=True) if row["split"] == split]
        self.task = Task("binary") if config.binary else Task("semantic", single_classes()[1:])

    def files(self, index: int) -> ClipFiles:
        """Return the paths of a sample's files."""
        name, labels = self.ids[index], "salient_labels" if self.config.binary else "labels"
        frame, sound = self.root / "frames" / f"{name}.png", self.root / "audios" / f"{name}.wav"
        return ClipFiles((frame,), (self.root / labels / f"{name}.png",), sound)

    def clip_files(self, index: int) -> list[ClipFile]:
        """The picture, its labels of both kinds, and the sound."""
        name, binary = self.ids[index], self.config.binary
        return [
            ClipFile("frame", f"frames/{name}.png"),
            ClipFile("label", f"labels/{name}.png", not binary),
            ClipFile("label_salient", f"salient_labels/{name}.png", binary),
            ClipFile("sound", f"audios/{name}.wav"),
        ]

    def tables(self) -> SplitTables:
        """The table."""
        return SplitTables(("data.csv",))

    def annotated(self, index: int) -> range:
        """Its picture."""
        return range(1)

    def length(self, index: int) -> int:
        """Return 1, the number of pictures."""
        return 1

    def sound(self, index: int) -> tuple[torch.Tensor, int]:
        """Return only the sound of a sample."""
        return read_sound(self.files(index).sound, self.config)

    def heard_classes(self, index: int) -> frozenset[str]:
        """Return the classes in the table."""
        return frozenset(single_classes()[class_id] for class_id in self.categories[index])

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a sample, resized while reading if a geometry is given.

        `target.sounding` (1, 23) is what the table names.

        Raises:
            FileNotFoundError: a picture or the sound is missing.
            ValueError: a broken file, labels of another size than the picture, or of no class.
        """
        files = self.files(index)
        picture = open_image(files.frames[0], "RGB")
        labels = self._labels(files.labels[0], (picture.height, picture.width))
        sounding = torch.zeros(1, len(single_classes()) - 1, dtype=torch.bool)
        sounding[0, [class_id - 1 for class_id in self.categories[index]]] = True
        audio, rate = read_sound(files.sound, self.config)
        clip = Clip(
            id=self.ids[index],
            frames=torch.from_numpy(channels_first(picture))[None],
            times=torch.zeros(1, dtype=torch.float64),
            audio=audio,
            sample_rate=rate,
            target=DenseTarget(labels[None], torch.ones(1, dtype=torch.bool), sounding),
        )
        clip = clip if frames is None else clip.take(frames)
        return clip if geometry is None else geometry(clip)

    def _labels(self, path: Path, size: tuple[int, int]) -> torch.Tensor:
        """(H, W) int64 class ids, or 0 and 1 where binary; 255 is not judged among class ids."""
        labels = read_index(path).long()
        if labels.shape != size:
            raise ValueError(
                f"the labels {path} are {tuple(labels.shape)} high and wide, but the picture is {size}; they must agree"
            )
        if self.config.binary:
            return (labels > 0).long()
        highest = len(single_classes()) - 1
        wrong = labels[(labels > highest) & (labels != IGNORE)]
        if len(wrong):
            raise ValueError(f"the labels {path} hold {int(wrong[0])}, wanted class ids from 0 to {highest}")
        return labels


def _categories(text: str, where: str) -> Sequence[int]:
    """Class ids of a list of names between commas; background is left out."""
    names = single_classes()
    found = [name.strip() for name in text.split(",")]
    for name in found:
        if name not in names:
            raise ValueError(f"{where} has the category {name!r}; {did_you_mean(name, names)}")
    return sorted({names.index(name) for name in found} - {0})
