"""Identification of a file of weights: published weights, a model file of avseg, or neither."""

from __future__ import annotations

import shlex
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from avseg.config import from_dict
from avseg.models import build_model, read_header
from avseg.models.base import Model, plain_state, run_buffers
from avseg.models.convert import read_checkpoint
from avseg.models.header import Header, spec_of
from avseg.models.keys import Keys
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task
from avseg.weights.matching import Differences, Match, compared, nearest

_SAFETENSORS = ".safetensors"
_BEGINNINGS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"RIFF": "a WAV or AVI file",
    b"<!doctype html": "a web page, probably a download that needs a confirmation; download it with a browser",
    b"<html": "a web page, probably a download that needs a confirmation; download it with a browser",
    b"version https://git-lfs": "a Git LFS pointer; get the file with `git lfs pull`",
}
"""First bytes of files that are not weights, in lower case for text, and their kinds."""


@dataclass(frozen=True)
class Verdict:
    """The kind of a file, and its differences from the published one."""

    rows: dict[str, str]
    """Facts by heading."""
    differences: Differences
    problem: str
    """One sentence if it differs, else empty."""


def verify(path: str | Path) -> Verdict:
    """Identify a file of weights by the names and shapes of its tensors.

    Args:
        path: a .pth, .pt or .pkl file, of which nothing is run, or a .safetensors file, of which only the header is
            read; model files of avseg among them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is cut short or damaged, holds no weights, or weights of no known kind.
    """
    path = Path(path)
    shapes, metadata = _read(path)
    if {"family", "format_version"} <= metadata.keys():
        return _own(path, shapes)
    match = nearest(shapes)
    if not shapes:
        raise ValueError(f"{path} holds no tensors; download it again")
    if match is None:
        raise ValueError(
            f"{path} holds {len(shapes)} tensors of unknown weights, such as "
            f"{', '.join(list(shapes)[:2])}; `avseg weights list` shows the known weights"
        )
    return _published(path, match)


def _published(path: Path, match: Match) -> Verdict:
    record, differences = match.record, match.differences
    also = ", ".join(other.name for other in match.also)
    rows = {
        "record": record.name + (also and f"; equally near: {also}"),
        "family": record.family,
        "variant": record.variant,
        "backbone": record.backbone or "none",
        "tensors": str(match.tensors),
        **_listed(differences),
        "published": record.place
        if record.published
        else f"never published; the code of {record.place} writes such files",
        "licence": record.licence,
        "taken by": record.command.replace("FILE", shlex.quote(str(path))),
    }
    problem = (
        f"{path} differs from {record.name}: {_counted(differences)}; download it "
        "again, unless it was trained with other sizes"
    )
    return Verdict(rows, differences, problem if differences.count else "")


def _own(path: Path, shapes: Keys) -> Verdict:
    header = read_header(path)
    model = _empty_model(path, header)
    of_run = run_buffers(model)
    wanted = {name: tuple(tensor.shape) for name, tensor in plain_state(model).items() if name not in of_run}
    differences = compared(shapes, wanted)
    task = model.task
    rows = {
        "record": f"model file of avseg, format {header.format_version}",
        "family": header.family,
        "variant": f"{task.kind}, {len(task.classes)} classes" if task.classes else task.kind,
        "backbone": str(header.config.get("backbone", "none")),
        "tensors": str(len(shapes)),
        **_listed(differences),
        **header.descent,
        "taken by": f"avseg predict VIDEO --model {shlex.quote(str(path))}",
    }
    problem = f"{path} is not a complete model file: {_counted(differences)}; run avseg convert or avseg train again"
    return Verdict(rows, differences, problem if differences.count else "")


def _empty_model(path: Path, header: Header) -> Model[Any]:
    """Build the model of a header with tensors that have no storage."""
    spec = spec_of(header, path)
    try:
        task = Task.from_dict(header.task)
        config = from_dict(spec.config, header.config)
        with torch.device("meta"), WithoutInitialisation():
            return build_model(config, task)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} has a header that does not describe a valid model: {error}; download it again or update avseg"
        ) from error


def _listed(differences: Differences, most: int = 10) -> dict[str, str]:
    """Return the number of differences of each kind, and the first names."""
    ways = {
        "missing": differences.missing,
        "superfluous": differences.superfluous,
        "other shapes": differences.misshaped,
    }
    return {way: _first(names, most) for way, names in ways.items()}


def _first(names: Sequence[str], most: int) -> str:
    if not names:
        return "none"
    more = f"; and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {'; '.join(names[:most])}{more}"


def _counted(differences: Differences) -> str:
    ways = {
        "missing": len(differences.missing),
        "superfluous": len(differences.superfluous),
        "with another shape": len(differences.misshaped),
    }
    return ", ".join(f"{count} tensor{'s' * (count > 1)} {way}" for way, count in ways.items() if count)


def _read(path: Path) -> tuple[Keys, dict[str, str]]:
    """Read the shapes by name, and the metadata of a safetensors header."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, wanted a file of weights; give a file in it")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty; download it again")
    try:
        if path.suffix == _SAFETENSORS:
            with safe_open(path, "pt") as file:
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
                return shapes, dict(file.metadata() or {})
        _check_sums(path)
        with warnings.catch_warnings(action="ignore"):  # torch's, of how a file was pickled
            return {name: tuple(tensor.shape) for name, tensor in read_checkpoint(path).items()}, {}
    except Exception as error:
        raise ValueError(_reason(path, error)) from error


def _check_sums(path: Path) -> None:
    """Verify the checksums of torch's archive, which torch itself does not do."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{path} is damaged: the checksum of {damaged} is wrong; download it again")


def _reason(path: Path, error: Exception) -> str:
    """Return why a file could not be read, judged by its first bytes."""
    with path.open("rb") as file:
        beginning = file.read(64)
    for start, what in _BEGINNINGS.items():
        if beginning.startswith(start) or beginning.lstrip().lower().startswith(start):
            return f"{path} holds no weights: it is {what}"
    if beginning.isascii() and beginning.decode("ascii").replace("\n", "").isprintable():
        return f"{path} holds no weights: it is a text file"
    archive, header = beginning.startswith(b"PK\x03\x04"), beginning[8:10] == b'{"'
    if (archive and not zipfile.is_zipfile(path)) or (header and path.suffix == _SAFETENSORS):
        return f"{path} is truncated or damaged: it begins like weights, but its end is missing; download it again"
    if header:
        return f"{path} is a safetensors file with another suffix; rename it to end in {_SAFETENSORS}"
    if isinstance(error, SafetensorError):
        kind = "; its content is a torch checkpoint, so rename it to end in .pth" if archive else f" ({error})"
        return f"{path} is not a safetensors file{kind}"
    return str(error) if isinstance(error, ValueError) else f"{path} cannot be read as weights ({error})"
