"""How readers read their tables, find their files, and refuse what they do not have. Imports no torch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath, PureWindowsPath

from avseg.data.config import DataConfig

Row = dict[str, str]
OF_TRAINING = ("augment", "scales", "clip_frames", "reach", "sides", "longest")
"""Fields of `DataConfig` that say what training does to clips."""
GENERAL = ("name", "root", "sample_rate", "stereo", "labels_at", "suite", *OF_TRAINING)
"""Fields of `DataConfig` that every data set has."""


@dataclass(frozen=True)
class ClipFiles:
    """Where the parts of a clip lie."""

    frames: tuple[Path, ...]
    labels: tuple[Path, ...]
    """Of the first frames; fewer than frames where only some are annotated."""
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
        raise FileNotFoundError(f"{path} is missing; --data.root must be the folder that holds it (docs/datasets.md)")
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
        raise ValueError(f"{path} is no table of UTF-8 text ({error}); save it as CSV in UTF-8") from error


def _place(path: Path, header: list[str], name: str, position: int | None) -> int:
    if name in header:
        return header.index(name)
    if position is not None and position < len(header):
        return position
    raise ValueError(
        f"{path} has the columns {', '.join(header) or '(none)'} but no {name!r}; add it (docs/datasets.md)"
    )


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
    """Whether it is the name of a file or folder and nothing that leads elsewhere."""
    return name not in ("", ".", "..") and PurePosixPath(name).name == name and PureWindowsPath(name).name == name


def refuse_options(config: DataConfig, known: Sequence[str]) -> None:
    """Refuse options that the data set does not have, whatever field of `config` asks for them.

    Args:
        known: Fields of `DataConfig` that it has beside those that every set has (`GENERAL`), values of
            `config.compat`, and values of `config.audio` other than `wav`.

    Raises:
        ValueError: one that it has not is asked for.
    """
    plain = DataConfig()
    changed = [f.name for f in fields(config) if getattr(config, f.name) != getattr(plain, f.name)]
    asked = {name: _option(name) for name in changed if name not in (*GENERAL, "audio", "compat")}
    asked |= {name: f"--data.compat {name}" for name in config.compat}
    if config.audio != "wav":
        asked[config.audio] = f"--data.audio {config.audio}"
    wrong = [f"{name} ({option})" for name, option in asked.items() if name not in known]
    if wrong:
        has = f"beside what every set has, it has {', '.join(known)}" if known else "it has none of its own"
        raise ValueError(f"the data set {config.name!r} has no option {' or '.join(wrong)}; {has}")


def refuse_training_options(config: DataConfig, split: str) -> None:
    """Refuse, where a split is only looked at, what nothing but training does or another split has.

    Raises:
        ValueError: such an option is asked for.
    """
    plain = DataConfig()
    idle = [*OF_TRAINING, *(("held_out_clips",) if split == "train" else ("clips", "silent_videos"))]
    wrong = [_option(name) for name in idle if getattr(config, name) != getattr(plain, name)]
    if wrong:
        raise ValueError(
            f"{' and '.join(wrong)} changes nothing where the split {split} is only looked at; leave it out"
        )


def need_shipped(config: DataConfig, paths: Sequence[Path | None], advice: str) -> None:
    """Refuse to begin where files are missing that stand for the sound (`config.audio`).

    Raises:
        FileNotFoundError: some are not there; says how many, which is the first, and `advice`.
    """
    missing = [path for path in paths if path is not None and not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} files that --data.audio {config.audio} reads are missing, the first is "
            f"{missing[0]}; {advice}"
        )


def _option(name: str) -> str:
    return f"--data.{name.replace('_', '-')}"


def need_root(config: DataConfig, root: Path | None) -> Path:
    """The folder of a data set.

    Raises:
        ValueError: none was given.
        FileNotFoundError: it is not there.
    """
    if root is None:
        raise ValueError(f"the data set {config.name!r} needs its folder; give --data.root DIR")
    if not Path(root).is_dir():
        raise FileNotFoundError(f"the folder {root} of the data set {config.name!r} does not exist")
    return Path(root)
