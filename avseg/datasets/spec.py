"""The record by which shared code knows a data set. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from avseg.data.config import DataConfig

Recount: TypeAlias = Literal["labels", "foreground", "keep"]
"""What `target.sounding` is of a part of the picture: the classes that its labels show (`labels`); the classes as they
were, or none where no foreground is left (`foreground`, for labels without classes); the classes as they were."""


@dataclass(frozen=True)
class DatasetSpec:
    """What a data set is; all places are "module:attribute", imported on use."""

    name: str
    config: type[DataConfig]
    """Its options."""
    open: str
    """A class, or a function, of (config, split, root)."""
    suite: str
    """Its metric suite, a name in `avseg.metrics.SUITES`."""
    what: str
    """What it is, in one line."""
    labels_at: Mapping[str, Literal["file", "input"]] = field(default_factory=dict)
    """By protocol, where its predictions are judged: at the size of the label files (the default), or at that of the
    network's input."""
    recount: Recount | Callable[[Any], Recount] = "foreground"
    """What becomes of `target.sounding` where training sees a part of the picture; may depend on its config."""
    training_crop: bool = False
    """Training sizes the shorter side and cuts the centre out, where `augment` does not say how to size."""
    prepare: str | None = None
    """Function of `avseg data prepare`."""
    check: str | None = None
    """Function of `avseg data check`."""
    write: str | None = None
    """Function of `avseg data synth`."""
