"""What a recipe says of its data, as far as all data sets share it. Imports no torch."""

from __future__ import annotations

import typing
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from avseg.config import check_choices, did_you_mean

Augmentation: TypeAlias = Literal[
    "flip",
    "colour",
    "mute",
    "one_frame",
    "scale",
    "jitter",
    "size",
    "crop",
    "some_frames",
    "moving_crop",
    "shorter_side",
    "window",
    "photometric",
    "affine",
]

PARAMETERS: dict[str, tuple[Augmentation, ...]] = {
    "scales": ("scale",),
    "clip_frames": ("some_frames", "window"),
    "reach": ("some_frames",),
    "sides": ("shorter_side",),
    "longest": ("shorter_side",),
}
"""Fields of `DataConfig` that are parameters of augmentations, and of which."""


@dataclass(frozen=True)
class DataConfig:
    """A data set by its name, where it lies, and how it is read; each data set adds options of its own.

    All fields of a data set's config have defaults.

    Raises:
        ValueError: a word that is no choice of its field, or a parameter of an augmentation that `augment` lacks.
    """

    name: str = ""
    """The data set, a name in `avseg.list_datasets()`."""
    root: Path | None = None
    """The folder of the data set; the synthetic world has none."""
    shards: str | None = None
    """In place of the folder: what `avseg data pack` made of it, a folder or a place such as s3://bucket/folder."""
    sample_rate: int = 16000
    """Sounds of another rate are resampled on reading."""
    stereo: bool = False
    """Keep two channels of sound (VPO: give every source its place); otherwise they are averaged."""
    augment: tuple[Augmentation, ...] = ()
    """What happens to a clip while training, in this order. `size` brings it to the network's input, `crop` cuts a
    random part of that size out; where neither is named, sizing comes first. `one_frame` keeps one annotated frame,
    `window` `clip_frames` that follow each other. `photometric` is `colour` with stronger changes, and hue; `affine`
    turns, shrinks and slants. Of long videos with tracks: `some_frames` draws `clip_frames` of a video, `moving_crop`
    sizes them and cuts a part out that moves, `shorter_side` draws their size."""
    scales: tuple[float, ...] = (0.5, 0.75, 1.0)
    """Factors that `scale` draws from."""
    clip_frames: int = 5
    """Frames that `some_frames` and `window` keep."""
    reach: int = 20
    """How far from its reference frame `some_frames` looks for the others, in frames."""
    sides: tuple[int, ...] = (288, 320, 352, 384, 416, 448, 480, 512)
    """Pixels of the shorter side that `shorter_side` draws from."""
    longest: int = 768
    """Pixels of the longer side at most, after `shorter_side`."""
    labels_at: Literal["auto", "file", "input"] = "auto"
    """Where predictions are judged: at the size of the label files, or at that of the network's input; `auto` is the
    data set's own protocol."""
    suite: str | None = None
    """Metric suite of validation and evaluation. The default is the data set's own."""

    def __post_init__(self) -> None:
        for name in self.augment:
            if name not in typing.get_args(Augmentation):
                raise ValueError(
                    f"no augmentation is called {name!r}; {did_you_mean(name, typing.get_args(Augmentation))}"
                )
        check_choices(self, f"the data set {self.name!r}")
        idle = [n for n in self.changed() if n in PARAMETERS and not set(PARAMETERS[n]) & set(self.augment)]
        if idle:
            of = " and ".join(f"{option_of(name)} of {' and '.join(PARAMETERS[name])}" for name in idle)
            raise ValueError(f"{of} changes nothing, since augment does not name it; leave it out, or add it there")

    def changed(self) -> list[str]:
        """The fields that have another value than their default."""
        plain = defaults_of(type(self))
        return [name for name in plain if name != "name" and getattr(self, name) != plain[name]]

    def on_shards(self, root: Path) -> Self:
        """The same options for a data set whose tables lie in `root` and whose clips in shards."""
        return replace(self, root=root, shards=None)

    def idle(self, split: str) -> tuple[str, ...]:
        """Fields that change nothing where `split` is only looked at, and not trained on."""
        return ("augment", *PARAMETERS)

    @property
    def mirrors_sound(self) -> bool:
        """Whether `flip` swaps left and right of the sound as well."""
        return True

    @property
    def draws_again(self) -> bool:
        """Whether `some_frames` may draw a frame twice where there are others."""
        return False


def defaults_of(kind: type[DataConfig]) -> dict[str, Any]:
    """The default of every field of a data set's config."""
    return {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(kind)}


def refuse_idle(config: DataConfig, split: str) -> None:
    """Refuse, where a split is only looked at, what nothing but training does or another split has.

    Raises:
        ValueError: such an option is asked for.
    """
    wrong = [option_of(name) for name in config.changed() if name in config.idle(split)]
    if wrong:
        raise ValueError(
            f"{' and '.join(wrong)} changes nothing where the split {split} is only looked at; leave it out"
        )


def option_of(name: str) -> str:
    """A field as the command line has it."""
    return f"--data.{name.replace('_', '-')}"
