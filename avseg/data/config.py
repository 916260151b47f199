"""The options of a recipe's data that all data sets share. Imports no torch."""

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
    """A data set by name, its folder, and how to read it; each data set adds its own options.

    All fields of a data set's config have defaults.

    Raises:
        ValueError: a word that is no choice of its field, or a parameter of an augmentation that `augment` lacks.
    """

    name: str = ""
    """Name of the data set, one of `avseg.list_datasets()`."""
    root: Path | None = None
    """Folder of the data set; the synthetic world needs none."""
    shards: str | None = None
    """Shards written by `avseg data pack`, instead of the folder: a folder or an address such as s3://bucket/folder."""
    sample_rate: int = 16000
    """Sample rate in Hz; sounds of another rate are resampled on reading."""
    stereo: bool = False
    """Keep two audio channels (VPO: pan every source to its place); otherwise they are averaged."""
    augment: tuple[Augmentation, ...] = ()
    """Augmentations in training, in this order. `size` resizes to the network's input, `crop` cuts out a random part of
    that size; if neither is named, resizing comes first. `one_frame` keeps one annotated frame, `window` keeps
    `clip_frames` consecutive frames. `photometric` is a stronger `colour` that also changes the hue; `affine` rotates,
    scales and shears. For long videos with tracks: `some_frames` draws `clip_frames` frames of a video, `moving_crop`
    resizes them and cuts out a moving part, `shorter_side` draws their size."""
    scales: tuple[float, ...] = (0.5, 0.75, 1.0)
    """Factors for `scale`."""
    clip_frames: int = 5
    """Number of frames that `some_frames` and `window` keep."""
    reach: int = 20
    """Largest distance of the other frames of `some_frames` from its reference frame, in frames."""
    sides: tuple[int, ...] = (288, 320, 352, 384, 416, 448, 480, 512)
    """Sizes in pixels from which `shorter_side` draws the shorter side."""
    longest: int = 768
    """Largest longer side in pixels after `shorter_side`."""
    labels_at: Literal["auto", "file", "input"] = "auto"
    """Size at which predictions are scored: that of the label files, or that of the network's input; `auto` follows the
    data set's protocol."""
    suite: str | None = None
    """Metric suite of validation and evaluation. The default is the data set's own."""

    def __post_init__(self) -> None:
        for name in self.augment:
            if name not in typing.get_args(Augmentation):
                raise ValueError(
                    f"there is no augmentation {name!r}; {did_you_mean(name, typing.get_args(Augmentation))}"
                )
        check_choices(self, f"the data set {self.name!r}")
        idle = [n for n in self.changed() if n in PARAMETERS and not set(PARAMETERS[n]) & set(self.augment)]
        if idle:
            of = " and ".join(f"{option_of(name)} of {' and '.join(PARAMETERS[name])}" for name in idle)
            raise ValueError(
                f"{of} has no effect without its augmentation in augment; leave it out, or add the augmentation"
            )

    def changed(self) -> list[str]:
        """The fields that have another value than their default."""
        plain = defaults_of(type(self))
        return [name for name in plain if name != "name" and getattr(self, name) != plain[name]]

    def on_shards(self, root: Path) -> Self:
        """Return the options for a data set with tables in `root` and clips in shards."""
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
            f"{' and '.join(wrong)} has no effect on the split {split}, which is not used for training; leave it out"
        )


def option_of(name: str) -> str:
    """A field as the command line has it."""
    return f"--data.{name.replace('_', '-')}"
