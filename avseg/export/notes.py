"""The metadata of exported files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.export import ExportedProgram

from avseg.engines.ports import GraphPart
from avseg.models.seams import Tensors

NOTE = "exported"
"""The name of the note in the header (docs/reference/file-format.md)."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A part of a model, traced."""

    part: GraphPart
    program: ExportedProgram
    precision: str
    clips: tuple[Tensors, ...] = ()
    """Recorded inputs of the part during prediction of videos, for int8 calibration."""


@dataclass(frozen=True)
class FilePart:
    """One file of an exported model."""

    file: str
    """Name of the file, next to the first one."""
    rows: tuple[tuple[int, ...], tuple[int, ...]]
    """See `avseg.engines.ports.Port.rows`, by input and by output."""


@dataclass(frozen=True)
class ExportNote:
    """The metadata of the first file of an exported model, in addition to the header of a model file."""

    precision: str
    weights: str
    """Fingerprint of the weights."""
    parts: Mapping[str, FilePart]
    """Parts by the name of the seam."""
    versions: Mapping[str, str]

    def to_text(self) -> str:
        """As JSON."""
        parts = {name: {"file": part.file, "rows": part.rows} for name, part in self.parts.items()}
        return json.dumps({**vars(self), "parts": parts})

    @classmethod
    def of_text(cls, text: str) -> ExportNote:
        """
        Raises:
            ValueError, KeyError, TypeError: another text.
        """
        found: dict[str, Any] = json.loads(text)
        parts = {
            name: FilePart(part["file"], (tuple(part["rows"][0]), tuple(part["rows"][1])))
            for name, part in found["parts"].items()
        }
        return cls(found["precision"], found["weights"], parts, found["versions"])
