"""Reading of tables, and paths of files, for readers of data sets. Imports no torch."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from avseg.io.packed import is_file

Row = dict[str, str]


@dataclass(frozen=True)
class ClipFiles:
    """Return the paths of a clip's files."""

    frames: tuple[Path, ...]
    labels: tuple[Path, ...]
    """Labels of the first frames; fewer than frames if only some are annotated."""
    sound: Path
    log_mel: Path | None = None
    """Where the data set ships its windows."""
    features: Path | None = None
    """Where the data set ships vectors of its sound."""


def read_table(path: Path, columns: Sequence[tuple[str, int | None]]) -> list[Row]:
    """The rows of a CSV file with the wanted columns.

    Args:
        path: Comma separated, UTF-8, with a header.
        columns: Name of each column, and its position where the header may call it something else (None: it may not).

    Raises:
        FileNotFoundError: no such file.
        ValueError: not UTF-8, a column is missing, or a row is too short.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; --data.root must be the folder that holds it (docs/reference/datasets.md)"
        )
    rows = csv_rows(path)
    header = [name.strip() for name in rows[0]] if rows else []
    places = {name: _place(path, header, name, position) for name, position in columns}
    table = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) <= max(places.values()):
            raise ValueError(f"{path} line {number} has {len(row)} fields, wanted the header's {len(header)}")
        table.append({name: row[place].strip() for name, place in places.items()})
    return table


def csv_rows(path: Path) -> list[list[str]]:
    """The fields of every line that is not empty, the header included.

    Raises:
        ValueError: not UTF-8, or nothing that could be a table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table in UTF-8 ({error}); save it as CSV in UTF-8") from error


def _place(path: Path, header: list[str], name: str, position: int | None) -> int:
    if name in header:
        return header.index(name)
    if position is not None and position < len(header):
        return position
    if len(header) == 1 and name in re.split(r"[;\t|]", header[0]):
        raise ValueError(f"{path} does not separate its columns with commas: {header[0]!r}; save it with commas")
    raise ValueError(
        f"{path} has the columns {', '.join(header) or '(none)'} but no {name!r}; add it (docs/reference/datasets.md)"
    )


def objects_of(path: Path, label: str = "") -> dict[str, frozenset[str]]:
    """By `uid` the objects that the table of AVSBench-semantic names in `a_obj`, joined by "_".

    Args:
        path: The table; nothing is known where it is not there or has no such columns.
        label: Of the rows alone that have it in the column `label`.
    """
    rows = csv_rows(path) if path.is_file() else []
    places = {name.strip(): place for place, name in enumerate(rows[0])} if rows else {}
    if not {"uid", "label", "a_obj"} <= set(places):
        return {}
    wanted = [row for row in rows[1:] if len(row) > max(places.values()) and label in ("", row[places["label"]])]
    found = {row[places["uid"]].strip(): row[places["a_obj"]].strip().split("_") for row in wanted}
    return {uid: frozenset(names) - {""} for uid, names in found.items()}


def check_names(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Refuse names that would lead out of the data set's folder.

    Raises:
        ValueError: an empty name, an absolute one, a drive, or `..`.
    """
    for number, row in enumerate(rows, start=2):
        for column in columns:
            if not is_plain(row[column]):
                raise ValueError(
                    f"{path} line {number} has the {column} {row[column]!r}, which leads out of the data set's folder; "
                    "names must be plain file names"
                )


def is_plain(name: str) -> bool:
    """Whether a name is a plain file name, without folders."""
    return name not in ("", ".", "..") and PurePosixPath(name).name == name and PureWindowsPath(name).name == name


def need_shipped(audio: str, paths: Sequence[Path | None], advice: str) -> None:
    """Refuse to begin where files are missing that stand for the sound.

    Args:
        audio: What `--data.audio` says.
        paths: The files that it reads.
        advice: How they are made.

    Raises:
        FileNotFoundError: some are not there; says how many, which is the first, and `advice`.
    """
    missing = [path for path in paths if path is not None and not is_file(path)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} files that --data.audio {audio} reads are "
            f"missing, the first one is {missing[0]}; {advice}"
        )


@cache
def class_rows(room: str, key: str = "classes") -> list[dict[str, Any]]:
    """The rows of `classes.json` in the room of a data set."""
    text = files(f"avseg.datasets.{room}").joinpath("classes.json").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)[key]
    return rows
