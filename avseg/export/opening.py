"""Opening exported files as models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from avseg.config import from_dict
from avseg.engines.parts import Engine, InGroups
from avseg.engines.records import reader_of
from avseg.export.formats import FORMATS, SUFFIXES
from avseg.export.notes import NOTE, ExportNote, FilePart
from avseg.lazy import imported
from avseg.models.base import Model
from avseg.models.files import build_model
from avseg.models.header import Header, spec_of
from avseg.models.seams import Runner, with_runners
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task


@dataclass(frozen=True)
class Exported:
    """The files of an exported model."""

    path: Path
    """The first one."""
    note: ExportNote

    @property
    def suffix(self) -> str:
        """Suffix of the files."""
        return self.path.suffix

    @property
    def engine(self) -> str:
        """The default engine for the files.

        Raises:
            ImportError: nothing that is installed does.
        """
        return reader_of(self.suffix)

    @property
    def precision(self) -> str:
        """Precision of the files."""
        return self.note.precision

    @property
    def weights(self) -> str:
        """Fingerprint of the weights."""
        return self.note.weights

    def runners(self, engine: Engine) -> dict[str, Runner]:
        """Return the runner of each part."""

        def runner(part: FilePart) -> Runner:
            path = str(self.path.parent / part.file)
            if not part.rows[0][0]:  # shapes differ from call to call
                return lambda *tensors: engine.of_file(path, None)(*tensors)
            return InGroups(part.rows, partial(engine.of_file, path), lambda: engine.of_file(path, None))

        return {name: runner(part) for name, part in self.note.parts.items()}


def open_exported(path: Path, device: str = "cpu") -> Model[Any]:
    """Open an exported file as a model, which predicts like the original and cannot train.

    Args:
        path: of the first file.
        device: where it works.

    Raises:
        FileNotFoundError: a file is missing.
        ImportError: nothing that is installed reads or runs it.
        ValueError: a file that is damaged or not of `avseg export`.
    """
    header, note = read_note(path)
    for part in note.parts.values():
        for suffix in ("", *FORMATS[SUFFIXES[path.suffix]].beside):
            file = (path.parent / part.file).with_suffix(suffix or path.suffix)
            if not file.is_file():
                raise FileNotFoundError(f"{path} needs {file.name}, which is missing from its folder")
    try:
        with WithoutInitialisation():
            model = build_model(from_dict(spec_of(header, path).config, header.config), Task.from_dict(header.task))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a complete exported model: its config and task do not form a model ({error})"
        ) from error
    _empty(model, note.parts)
    exported = Exported(path, note)
    model.exported = exported
    engine: Engine = imported(_address(exported))(_usual(note.precision), torch.device(device))
    return with_runners(model, model.seams, exported.runners(engine)).to(device).eval()


def _usual(precision: str) -> str:
    """Return the default precision: int8 is part of the graph, fp16 is only the storage of weights."""
    return precision if precision == "int8" else "fp32"


def _address(exported: Exported) -> str:
    engines = imported("avseg.engines.records:ENGINES")
    address: str = engines[exported.engine].address
    return address


def _empty(model: Model[Any], parts: Iterable[str]) -> None:
    """Remove the modules that files replace or that predictions do not need."""
    kept = {name.partition(".")[0] for name in parts}
    for name, _ in list(model.named_children()):
        model._modules[name] = nn.Module() if name in kept else None


def read_note(path: Path) -> tuple[Header, ExportNote]:
    """Read the metadata of an exported file.

    Raises:
        FileNotFoundError: no such file.
        ImportError: a package that reads it is missing.
        ValueError: a file that is damaged or not the first one of `avseg export`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = SUFFIXES[path.suffix]
    FORMATS[name].want(name)
    notes: dict[str, str] = imported(f"{FORMATS[name].address}:read_notes")(path)
    if NOTE not in notes:
        raise ValueError(
            f"{path} is not a model file of avseg: its metadata has no family, config and task, or it is a "
            "further file of an exported model; make one with avseg export"
        )
    try:
        return Header.from_metadata(notes), ExportNote.of_text(notes[NOTE])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a complete exported model: its metadata is damaged ({error})") from error
