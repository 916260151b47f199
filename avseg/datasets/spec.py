"""The record that describes a data set to shared code. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from avseg.data.config import DataConfig

Recount: TypeAlias = Literal["labels", "foreground", "keep"]
"""The rule for `target.sounding` of a part of the picture: the classes that its labels show (`labels`); the classes
as they were, or none where no foreground is left (`foreground`, for labels without classes); the classes as they
were.
"""


@dataclass(frozen=True)
class DatasetSpec:
    """The record of a data set; all addresses are "module:attribute", imported on use."""

    name: str
    config: type[DataConfig]
    """Its options, each with a default."""
    open: str
    """A class, or a function, of (config, split, root)."""
    in_memory: bool = field(default=False, kw_only=True)
    """It has no folder."""
    suite: str
    """Its metric suite, a name in `avseg.metrics.SUITES`."""
    what: str
    """Description in one line."""
    labels_at: Mapping[str, Literal["file", "input"]] = field(default_factory=dict)
    """By protocol, where its predictions are judged: at the size of the label files (the default), or at that of the
    network's input."""
    recount: Recount | Callable[[Any], Recount] = "foreground"
    """How `target.sounding` is updated for crops in training; may depend on its config."""
    training_crop: bool = False
    """Training sizes the shorter side and cuts the centre out, where `augment` does not say how to size."""
    prepare: str | None = None
    """Function of (raw, root, options, workers) that makes its folder, for `avseg data prepare`; what it returns is
    printed, and the command ends with its `exit_code`."""
    prepare_options: Any = None
    """A dataclass of the options that its `prepare` has, with their defaults; None: it takes no options."""
    check: str | None = None
    """Function of (root, workers) that says what is wrong in its folder, for `avseg data check`."""
    check_options: Any = None
    """A dataclass of the options that its `check` has, with their defaults; None: it takes no options."""
    write: str | None = None
    """Function of (root, clips, seed, options, workers) that writes the synthetic world in its layout, for `avseg data
    synth`."""
    write_options: Any = None
    """A dataclass of the options that its `write` has, with their defaults; None: it takes no options."""
    gather: str | None = None
    """An `avseg.prepare.pseudo.PseudoLayout`: how it keeps videos whose truth a model made, for `avseg predict --save
    dataset:NAME`."""
    save: str | None = None
    """Class of (root, task) that writes clips in its layout, for `avseg data convert` (`avseg.datasets.convert`)."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """Own commands of `avseg data`: name -> typed function."""
