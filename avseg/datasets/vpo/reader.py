"""VPO: pictures of COCO combined with sounds of VGGSound, so that only some of the visible objects sound.

Chen et al., Unraveling Instance Associations: A Closer Look for Audio-Visual Segmentation, CVPR 2024. One picture and
three seconds of sound a sample. SS: one object sounds; MS: one or several classes; MSMI: instances that only their
place tells apart. The layout of the folders is on docs/reference/datasets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry, channels_first
from avseg.data.packing import ClipFile, SplitTables, below
from avseg.data.sound import pan, read_centre
from avseg.data.tables import ClipFiles
from avseg.datasets.vpo.classes import vpo_classes, vpo_mask_ids
from avseg.datasets.vpo.config import VPOConfig
from avseg.datasets.vpo.table import TABLES, PlacedSound, Sample, read_samples
from avseg.io.image import open_image
from avseg.io.packed import is_folder
from avseg.types import IGNORE, Clip, DenseTarget, Task

SECONDS = 3.0
"""Sound of a sample; its picture stands in the middle."""
SOUNDS = Path("vggsound_bench", "VGGSound", "audios")
_UNKNOWN = 254


class VPO(ClipDataset):
    """One split of VPO-SS (a sample for every row of its table), VPO-MS or VPO-MSMI (one for every picture).

    Mono, or (`config.stereo`) with every source at its place.

    With `merged_val` in `config.compat`, val and test are one split under both names, as published.
    """

    config: VPOConfig

    def __init__(self, config: VPOConfig, split: str, root: Path) -> None:
        sounds = config.sounds or root / SOUNDS
        if not is_folder(sounds):
            raise FileNotFoundError(f"the folder {sounds} of the sounds of VPO does not exist; give --data.sounds DIR")
        self.config, self.split, self.root, self.table = config, split, root, TABLES[config.name]
        merged = "merged_val" in config.compat and split != "train"
        self.samples = read_samples(root / "VPO", sounds, self.table, ("val", "test") if merged else (split,))
        self.ids = [sample.id for sample in self.samples]
        self.task = Task("semantic", vpo_classes()[1:])

    def files(self, index: int) -> ClipFiles:
        """Where the parts of a sample lie; of several sounds the first."""
        sample = self.samples[index]
        return ClipFiles((sample.image,), (sample.mask,), sample.sources[0].sound)

    def clip_files(self, index: int) -> list[ClipFile]:
        """The picture, its mask, and all sounds."""
        sample = self.samples[index]
        return [
            ClipFile("frame", below(self.root, sample.image)),
            ClipFile("label", below(self.root, sample.mask)),
            *(ClipFile("sound", f"{SOUNDS.as_posix()}/{source.sound.name}") for source in sample.sources),
        ]

    def tables(self) -> SplitTables:
        """The table of the subset."""
        return SplitTables((f"VPO/{self.table.folder}/{self.table.table}",))

    def place_of(self, name: str) -> Path:
        """The sounds may lie elsewhere."""
        folder, _, file = name.rpartition("/")
        return self.config.sounds / file if self.config.sounds and folder == SOUNDS.as_posix() else self.root / name

    def annotated(self, index: int) -> range:
        """Its picture."""
        return range(1)

    def length(self, index: int) -> int:
        """Return 1, the number of pictures."""
        return 1

    def sound(self, index: int) -> tuple[Tensor, int]:
        """Return only the sound of a sample."""
        return self._sound(self.samples[index]), self.config.sample_rate

    def heard_classes(self, index: int) -> frozenset[str]:
        """The classes of its sounds."""
        return frozenset(vpo_classes()[source.class_id] for source in self.samples[index].sources)

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a sample, resized while reading if a geometry is given.

        `target.sounding` (1, 21) is the class of the row in SS, and what the mask shows in MS and MSMI, as published.

        Raises:
            FileNotFoundError: a picture or a sound (its class is named) is missing.
            ValueError: a broken file, a mask of another size than the picture, or one with values of no class.
        """
        sample = self.samples[index]
        picture = open_image(sample.image, "RGB")
        size = (picture.height, picture.width)
        labels, shown = read_mask(sample.mask, size, geometry, relabel="relabel" in self.config.compat)
        if self.table.by_row:
            shown[:] = False
            shown[sample.sources[0].class_id] = True
        if geometry is not None:
            picture = geometry.resize(picture, geometry.spec.interpolation)
        clip = Clip(
            id=sample.id,
            frames=torch.from_numpy(channels_first(picture))[None],
            times=torch.zeros(1, dtype=torch.float64),
            audio=self._sound(sample),
            sample_rate=self.config.sample_rate,
            audio_start=-SECONDS / 2,
            target=DenseTarget(
                torch.from_numpy(labels)[None], torch.ones(1, dtype=torch.bool), torch.from_numpy(shown[1:])[None]
            ),
            output_size=labels.shape,
        )
        return clip if frames is None else clip.take(frames)

    def _sound(self, sample: Sample) -> Tensor:
        """(A, 3 s): the plain sum of the sources, as published, without a limit to its height."""
        heard = [self._source(source, sample.id) for source in sample.sources]
        return torch.stack(heard).sum(0) if len(heard) > 1 else heard[0]

    def _source(self, source: PlacedSound, sample_id: str) -> Tensor:
        try:
            sound = read_centre(
                source.sound, SECONDS, self.config.sample_rate, published="audio_window" in self.config.compat
            )
        except FileNotFoundError:
            name = vpo_classes()[source.class_id]
            raise FileNotFoundError(
                f"the sound {source.sound} of the class {name!r} in sample {sample_id} is missing; copy it there, or "
                "give the folder of the sounds (--data.sounds DIR)"
            ) from None
        return pan(sound, source.position) if self.config.stereo else sound[None]


def read_mask(
    path: Path, size: tuple[int, int], geometry: Geometry | None = None, relabel: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Class ids (H, W) of a mask picture, sized where a geometry says so, and which of the 22 classes they show.

    Args:
        path: A grey or paletted picture of mask ids; 255 is not judged.
        size: (H, W) of the picture that it belongs to.
        relabel: Repeat the published renumbering in place: cars beside airplanes become airplanes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: broken, of another size, with colours, or with values of no class.
    """
    image = open_image(path)
    if (image.height, image.width) != size:
        raise ValueError(
            f"the mask {path} is {(image.height, image.width)} high and wide, "
            f"but its picture is {size}; they must agree"
        )
    if image.mode not in ("L", "P"):
        raise ValueError(f"the mask {path} has the mode {image.mode}, wanted a grey or paletted picture of 8 bit")
    values = np.flatnonzero(image.histogram())
    _check_values(path, values)
    car, airplane = (vpo_mask_ids()[vpo_classes().index(name)] for name in ("car", "airplane"))
    table = _class_table()
    if relabel and airplane in values:
        table = table.copy()
        table[car] = table[airplane]
    if geometry is not None and geometry.resize_labels:
        image = geometry.resize(image, "nearest")
        values = np.flatnonzero(image.histogram())
    shown = np.zeros(len(vpo_classes()), np.bool_)
    shown[table[values[values != IGNORE]]] = True
    return table.take(np.asarray(image)), shown


@cache
def _class_table() -> NDArray[np.int64]:
    """Class id of every mask value: one look-up, because renumbering in place lets one class fall into another."""
    table = np.full(256, _UNKNOWN, np.int64)
    table[list(vpo_mask_ids())] = np.arange(len(vpo_mask_ids()))
    table[IGNORE] = IGNORE
    return table


def _check_values(path: Path, values: Sequence[int] | NDArray[np.intp]) -> None:
    unknown = [int(value) for value in values if _class_table()[value] == _UNKNOWN]
    if unknown:
        raise ValueError(
            f"the mask {path} holds {', '.join(map(str, unknown))}, which is the id of no class of VPO; wanted 0 and "
            "the ids in avseg/datasets/vpo/classes.json (people: 92 male, 93 female, 94 baby)"
        )
