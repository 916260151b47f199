"""The header of a model file: what can be known of a model without torch (docs/reference/file-format.md)."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avseg.config import ModelConfig, did_you_mean, from_dict
from avseg.models import FAMILIES, FamilySpec

FORMAT_VERSION = 1
_LONGEST = 100_000_000
ORIGIN = "origin"
"""The note that says where the weights come from."""
LICENCES = ("licence", "license")
"""Notes that may hold the licence of the weights."""
PACKAGE = "package"
"""The note that holds name and version of the package that brings the family."""


@dataclass(frozen=True)
class Header:
    """Family, config and task of a model file, as plain JSON types."""

    family: str
    config: dict[str, Any]
    task: dict[str, Any]
    format_version: int = FORMAT_VERSION
    notes: dict[str, str] = field(default_factory=dict)
    """Whatever else stands in the header: where the weights come from, how they score."""

    @property
    def descent(self) -> dict[str, str]:
        """The notes that go with the weights wherever they go: where they come from, and under which terms."""
        return {name: self.notes[name] for name in (ORIGIN, *LICENCES) if name in self.notes}

    def to_metadata(self) -> dict[str, str]:
        """The strings that safetensors keeps."""
        clash = {"format_version", "family", "config", "task", "format"} & set(self.notes)
        if clash:
            raise ValueError(f"notes may not be called {', '.join(sorted(clash))}; the header uses these names")
        return {
            **self.notes,
            "format_version": str(self.format_version),
            "family": self.family,
            "config": json.dumps(self.config),
            "task": json.dumps(self.task),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Header:
        known = {"format_version", "family", "config", "task", "format"}
        config, task = json.loads(metadata["config"]), json.loads(metadata["task"])
        if not isinstance(config, dict) or not isinstance(task, dict):
            raise ValueError("wanted an object for each")
        return cls(
            family=metadata["family"],
            config=config,
            task=task,
            format_version=int(metadata["format_version"]),
            notes={key: value for key, value in metadata.items() if key not in known},
        )


def read_header(path: str | Path) -> Header:
    """The header of the model file at `path`, without its weights.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a model file, or one of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        named = str(path) in FAMILIES and FAMILIES[str(path)].opening is not None
        raise FileNotFoundError(f"there is no model file {path}{' (it is a name that opens without one)' * named}")
    metadata = _metadata(path)
    version = metadata.get("format_version", "")
    if not version.isdecimal() or not {"family", "config", "task"} <= set(metadata):
        raise ValueError(f"{path} is not a model file of avseg: its header has no family, config and task; {_ADVICE}")
    if int(version) > FORMAT_VERSION:
        raise ValueError(f"{path} has format version {version}, this avseg reads up to {FORMAT_VERSION}; update avseg")
    try:
        return Header.from_metadata(metadata)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a model file of avseg: its config or task is not valid JSON ({error})"
        ) from error


def spec_of(header: Header, path: str | Path) -> FamilySpec:
    """The record of the family of the model file at `path`, which has this header.

    Raises:
        ValueError: a family that is not known here, with the package that brings it if the file says so.
    """
    if header.family in FAMILIES:
        return FAMILIES[header.family]
    where = "pip install it, or name its module with --plugin"
    if package := header.notes.get(PACKAGE):
        raise ValueError(
            f"the family {header.family!r} of {path} comes from the package "
            f"{package}, which is not installed here; {where}"
        )
    raise ValueError(
        f"{path} has the family {header.family!r}, which is unknown here; if a package provides it, {where}; "
        f"{did_you_mean(header.family, FAMILIES)}"
    )


def config_of(path: str | Path) -> ModelConfig:
    """The config of the model file at `path`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a model file, an unknown family, or fields that its config does not have.
    """
    header = read_header(path)
    return from_dict(spec_of(header, path).config, header.config)


def sort_notes(path: Path) -> None:
    """Put the strings of a safetensors file's header in order, in place; the file keeps its length."""
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= length
        file.seek(8)
        file.write(text.ljust(length))


_ADVICE = "make one of a published checkpoint with `avseg convert`"


def _metadata(path: Path) -> dict[str, str]:
    """The `__metadata__` of a safetensors file: 8 bytes of length, then JSON."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST + 1
        text = file.read(length) if length <= _LONGEST else b""
    try:
        notes = dict(json.loads(text).get("__metadata__") or {})
        if not all(isinstance(note, str) for note in notes.values()):
            raise TypeError("its notes are not strings")
        return notes
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not a model file of avseg (no safetensors header); {_ADVICE}") from error
