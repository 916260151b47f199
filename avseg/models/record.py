"""The record of one kind of published weights. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from avseg.models.keys import Keys, expand

NOT_STATED = "not stated"


@dataclass(frozen=True)
class TensorPart:
    """Tensors whose names begin alike."""

    keys: str
    """"package:part", a part of the `keys.json` of a package; without a package, of `avseg.models`."""
    prefix: str = ""
    own: bool = True
    """Whether these tensors tell the method; those of a backbone, which many share, do not."""


@dataclass(frozen=True)
class Record:
    """Published weights of one list of names and shapes, in one file or several."""

    name: str
    family: str
    """The method; `backbone`, `sound` or `detector` for files that training begins with."""
    variant: str
    """Data set, classes, channels of sound, kind of names: what sets it apart in its family."""
    backbone: str
    """Empty where there is none."""
    command: str
    """How avseg takes it, with FILE for the file; a sentence where no command does."""
    parts: tuple[TensorPart, ...]
    files: tuple[str, ...] = ()
    """Names of the files given by the authors; empty if unknown."""
    place: str = NOT_STATED
    """Where their authors publish them; where they never did, whose code writes such files."""
    published: bool = True
    licence: str = NOT_STATED
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Meaning of letters in shapes."""
    optional: str = ""
    """Pattern of whole names that may be there, in any shape, or not."""

    @property
    def what(self) -> str:
        """One line for people: family, variant, backbone."""
        return ", ".join(word for word in (self.family, self.variant, self.backbone) if word)

    @cached_property
    def keys(self) -> Keys:
        """Every tensor that must be there: name -> shape."""
        found = {
            part.prefix + name: shape for part in self.parts for name, shape in expand(part.keys, self.sizes).items()
        }
        return {name: shape for name, shape in found.items() if not self.may_have(name)}

    @cached_property
    def own_keys(self) -> Keys:
        """Tensors that identify the method."""
        return {name: shape for name, shape in self.keys.items() if not self.is_shared(name)}

    def may_have(self, name: str) -> bool:
        """Whether a tensor of this name counts neither as missing nor as superfluous."""
        return re.fullmatch(self.optional, name) is not None if self.optional else False

    def is_shared(self, name: str) -> bool:
        """Whether a tensor of this name belongs to a part that many methods have."""
        return name.startswith(tuple(part.prefix for part in self.parts if not part.own))
