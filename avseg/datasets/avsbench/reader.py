"""AVSBench-object: S4 (single source) and MS3 (multiple sources), with five frames and binary labels per clip.

Zhou et al., Audio-Visual Segmentation, ECCV 2022. The layout of the folders is on docs/reference/datasets.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry, channels_first
from avseg.data.packing import ClipFile, SplitTables
from avseg.data.sound import every_second_second, published_buffer, read_sound
from avseg.data.tables import ClipFiles, Row, check_names, need_shipped, objects_of, read_table
from avseg.datasets.avsbench.classes import s4_categories
from avseg.datasets.avsbench.config import MS3Config, S4Config
from avseg.datasets.avsbench.contrast import CONTRASTS
from avseg.io.image import open_image
from avseg.io.pickles import read_tensor
from avseg.types import Clip, DenseTarget, Task

FRAMES = 5
SEMANTIC = "metadata.csv"
"""The table of AVSBench-semantic."""


@dataclass(frozen=True)
class Layout:
    """The table of a data set and the places of its files."""

    table: str
    columns: tuple[tuple[str, int | None], ...]
    """Name and, where the header may name it otherwise, position."""
    places: Callable[[Row], ClipPlaces]
    bitmaps: bool
    """Masks are read as Pillow's mode 1, as published for S4; otherwise by `ms3_mask`."""


class ClipPlaces(NamedTuple):
    """Where the parts of a clip lie below the root."""

    frames: tuple[str, ...]
    labels: tuple[str, ...]
    sound: str
    log_mel: str


def _s4_places(row: Row) -> ClipPlaces:
    name, at = row["name"], f"{row['split']}/{row['category']}"
    annotated = 1 if row["split"] == "train" else FRAMES
    return ClipPlaces(
        tuple(f"s4_data/visual_frames/{at}/{name}/{name}_{k}.png" for k in range(1, FRAMES + 1)),
        tuple(f"s4_data/gt_masks/{at}/{name}/{name}_{k}.png" for k in range(1, annotated + 1)),
        f"s4_data/audio_wav/{at}/{name}.wav",
        f"s4_data/audio_log_mel/{at}/{name}.pkl",
    )


def _ms3_places(row: Row) -> ClipPlaces:
    name, split = row["name"], row["split"]
    return ClipPlaces(
        tuple(f"ms3_data/visual_frames/{name}/{name}.mp4_{k}.png" for k in range(1, FRAMES + 1)),
        tuple(f"ms3_data/gt_masks/{split}/{name}/{name}_{k}.png" for k in range(1, FRAMES + 1)),
        f"ms3_data/audio_wav/{split}/{name}.wav",
        f"ms3_data/audio_log_mel/{split}/{name}.pkl",
    )


S4 = Layout("s4_meta_data.csv", (("name", 0), ("category", None), ("split", None)), _s4_places, bitmaps=True)
MS3 = Layout("ms3_meta_data.csv", (("name", 0), ("split", None)), _ms3_places, bitmaps=False)
LAYOUTS = {"s4": S4, "ms3": MS3}


class AVSBenchObject(ClipDataset):
    """One split of S4, whose training clips carry the truth of their first frame only, or of MS3."""

    task = Task("binary")
    config: S4Config

    def __init__(self, config: S4Config, split: str, root: Path) -> None:
        layout = LAYOUTS[config.name]
        if config.audio == "log_mel" and config.compat:
            raise ValueError(
                f"{', '.join(config.compat)} (--data.compat) changes the sound of {config.name!r}, which --data.audio "
                "log_mel does not read; use --data.audio wav"
            )
        table = read_table(root / layout.table, layout.columns)
        check_names(root / layout.table, table, [name for name, _ in layout.columns])
        self.config, self.split, self.root, self.layout = config, split, root, layout
        self.rows = [row for row in table if row["split"] == split]
        self.ids = [row["name"] for row in self.rows]
        if config.audio == "log_mel":
            advice = f"make them (avseg data prepare {config.name}) or read the sound (--data.audio wav)"
            need_shipped(config.audio, [self.files(index).log_mel for index in range(len(self.rows))], advice)
        self.categories, self.contrast = _categories(table), CONTRASTS[config.name]

    def files(self, index: int) -> ClipFiles:
        """Return the paths of a clip's files."""
        place, root = self.layout.places(self.rows[index]), self.root
        frames, labels = (tuple(root / name for name in names) for names in (place.frames, place.labels))
        return ClipFiles(frames, labels, root / place.sound, root / place.log_mel)

    def clip_files(self, index: int) -> list[ClipFile]:
        """Frames, masks, the sound and its shipped windows."""
        place = self.layout.places(self.rows[index])
        wav = self.config.audio == "wav"
        return [
            *(ClipFile("frame", name) for name in place.frames),
            *(ClipFile("label", name) for name in place.labels),
            ClipFile("sound", place.sound, wav),
            ClipFile("log_mel", place.log_mel, not wav),
        ]

    def tables(self) -> SplitTables:
        """The table of the data set, and that of AVSBench-semantic where it is there."""
        return SplitTables(tuple(name for name in (self.layout.table, SEMANTIC) if (self.root / name).is_file()))

    def annotated(self, index: int) -> range:
        """Return the annotated frames of a clip."""
        return range(len(self.files(index).labels))

    def length(self, index: int) -> int:
        """Return the number of frames of a clip."""
        return FRAMES

    def sound(self, index: int) -> tuple[Tensor, int]:
        """Return only the sound of a clip."""
        return self._sound(self.files(index))[:2]

    def heard_classes(self, index: int) -> frozenset[str]:
        """The category of an S4 clip; of an MS3 clip the objects of the table of AVSBench-semantic, where that lies in
        the root."""
        if self.categories:
            return frozenset({self.rows[index]["category"]})
        return self._objects.get(self.ids[index], frozenset())

    @cached_property
    def _objects(self) -> dict[str, frozenset[str]]:
        return objects_of(self.root / SEMANTIC, "v1m")

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a clip or some of its frames, resized while reading if a geometry is given.

        Raises:
            FileNotFoundError, ValueError: a file is missing, broken, or of another size than the others.
        """
        files = self.files(index)
        chosen = range(FRAMES) if frames is None else list(frames)
        paths = [files.frames[frame] for frame in chosen]
        pictures = _stack([channels_first(open_image(path, "RGB")) for path in paths], paths)
        audio, rate, features = self._sound(files)
        clip = Clip(
            id=self.ids[index],
            frames=pictures,
            times=torch.tensor(list(chosen), dtype=torch.float64),
            audio=audio,
            sample_rate=rate,
            target=self._target(index, files, chosen, (pictures.shape[2], pictures.shape[3])),
            audio_features=None if features is None else features[list(chosen)],
        )
        return clip if geometry is None else geometry(clip)

    def _sound(self, files: ClipFiles) -> tuple[Tensor, int, Tensor | None]:
        if self.config.audio == "wav":
            audio, rate = read_sound(files.sound, self.config)
            if "audio_window" in self.config.compat:
                audio = published_buffer(audio, rate)
            if "audio_hop" in self.config.compat:
                audio = every_second_second(audio, rate, FRAMES)
            return audio, rate, None
        assert files.log_mel is not None
        windows = read_tensor(files.log_mel).float()
        if windows.shape[1:] != (1, 96, 64) or len(windows) != FRAMES:
            raise ValueError(
                f"{files.log_mel} has log-mel windows of {tuple(windows.shape)}, wanted ({FRAMES}, 1, 96, 64)"
            )
        return torch.zeros(2 if self.config.stereo else 1, 0), self.config.sample_rate, windows

    def _target(self, index: int, files: ClipFiles, chosen: Sequence[int], size: tuple[int, int]) -> DenseTarget:
        annotated = torch.tensor(list(chosen)) < len(files.labels)
        labels = torch.zeros(len(annotated), *size, dtype=torch.int64)
        for place in annotated.nonzero().flatten().tolist():
            path = files.labels[chosen[place]]
            mask = self._mask(path)
            if mask.shape != size:
                raise ValueError(
                    f"the mask {path} is {tuple(mask.shape)} high and wide, but its frame is {size}; they must agree"
                )
            labels[place] = mask
        return DenseTarget(labels, annotated, self._sounding(index, len(annotated)))

    def _mask(self, path: Path) -> Tensor:
        """(H, W) of 0 and 1."""
        image = open_image(path)
        if self.layout.bitmaps:  # grey values between 0 and 255 are dithered by the published reader
            return torch.from_numpy(np.array(image.convert("1"), dtype=np.int64))
        mode = self.config.mask_mode if isinstance(self.config, MS3Config) else "auto"
        return ms3_mask(image, mode, path)

    def _sounding(self, index: int, frames: int) -> Tensor | None:
        """(T, number of categories) bool: the category of an S4 clip sounds all the time; MS3 does not tell."""
        if not self.categories:
            return None
        named = torch.tensor([name == self.rows[index]["category"] for name in self.categories])
        return named.expand(frames, -1).clone()


def ms3_mask(image: Image.Image, mode: str, path: Path) -> Tensor:
    """(H, W) of 0 and 1 from a mask picture of MS3.

    The published reader takes the value of Pillow's mode P over 255: 1 where a grey file holds 255, but 1/255 where a
    paletted one holds index 1, and 0.88 where an RGB one is white. `upstream` rounds that value to 0 or 1.

    Raises:
        ValueError: `auto`, and the two readings differ.
    """
    values = np.array(image.convert("RGB") if image.mode not in ("1", "L", "P") else image)
    nonzero = values.any(-1) if values.ndim == 3 else values != 0
    if mode == "nonzero":
        return torch.from_numpy(nonzero.astype(np.int64))
    published = np.array(image.convert("P"))
    if mode == "auto" and not np.array_equal(published, nonzero * np.uint8(255)):
        raise ValueError(
            f"the mask {path} (mode {image.mode}) is ambiguous: 'not zero' marks {nonzero.mean():.1%}, "
            f"the published arithmetic gives values up to {published.max() / 255:.3f} instead of 1; choose one with "
            "--data.mask-mode nonzero or --data.mask-mode upstream"
        )
    return torch.from_numpy((published > 127).astype(np.int64))


def _categories(table: Sequence[Row]) -> tuple[str, ...]:
    """The published 23 where the table keeps to them, else the table's own; none for MS3."""
    found = {row["category"] for row in table if "category" in row}
    known = s4_categories()
    return known if found and found <= set(known) else tuple(sorted(found))


def _stack(pictures: Sequence[NDArray[np.uint8]], paths: Sequence[Path]) -> Tensor:
    for picture, path in zip(pictures, paths, strict=True):
        if picture.shape != pictures[0].shape:
            sizes = f"{picture.shape[1:]} high and wide, {paths[0].name} {pictures[0].shape[1:]}"
            raise ValueError(f"the frame {path} is {sizes}; all frames of a clip must agree")
    return torch.from_numpy(np.stack(pictures))
