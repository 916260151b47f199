"""Files of `torch.export` (.pt2): a zip archive, with the notes as an extra file in it."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from avseg.export.notes import Graph

NOTES = "avseg.json"


def write(graph: Graph, path: Path, notes: Mapping[str, str]) -> None:
    """Write a graph with metadata strings.

    Args:
        graph: what is written.
        path: the file.
        notes: what `read_notes` gives back.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of views of one tensor, which are saved whole
        torch.export.save(graph.program, str(path), extra_files={NOTES: json.dumps(dict(notes))})


def read_notes(path: Path) -> dict[str, str]:
    """Read the metadata strings of a file; empty if it has none.

    Raises:
        ValueError: no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if Path(name).name == NOTES]
            notes: dict[str, str] = json.loads(archive.read(inside[0])) if inside else {}
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a complete .pt2 file ({error})") from error
    return notes
