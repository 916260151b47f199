"""Lists of videos: a text file with one per line, or a table (CSV, Parquet) with a column of videos."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from avseg.batch.videos import BatchVideo, checked_id
from avseg.io.address import below_scheme, is_url, local_path, shown
from avseg.lazy import imported

LISTS = frozenset((".txt", ".csv", ".parquet"))
"""Suffixes of lists."""
COLUMNS = ("path", "video", "file", "url")
"""Names for the column of videos; the first one found is used."""


def read_list(name: str, content: bytes, folder: str) -> list[BatchVideo]:
    """Return the videos of a list in its order, including repeated ones.

    Args:
        name: of the list, for its suffix and for sentences.
        content: of its file.
        folder: that relative paths start from, a path or an address.

    Raises:
        ValueError: no list, or an entry that is no name.
        ImportError: a Parquet file, and pyarrow is not installed.
    """
    suffix = PurePosixPath(below_scheme(name) if is_url(name) else name).suffix.lower()
    if suffix == ".parquet":
        entries = _of_parquet(name, content)
    else:
        entries = _of_text(name, content) if suffix == ".txt" else _of_csv(name, content)
    return [_video(source, key, folder, f"{shown(name)}, entry {n}") for n, (source, key) in enumerate(entries, 1)]


def _video(source: str, key: str | None, folder: str, where: str) -> BatchVideo:
    if not source:
        raise ValueError(f"{where} is empty; remove it, or give the path of a video")
    if key is None:
        key = below_scheme(source) if is_url(source) else local_path(source)
    if not is_url(source) and not source.startswith(("/", "file://")):
        source = f"{folder}/{source}" if folder else source
    return BatchVideo(checked_id(key, where), source)


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{shown(name)} is not UTF-8 text ({error.reason} at byte {error.start})") from error


def _of_text(name: str, content: bytes) -> Iterator[tuple[str, None]]:
    lines = (line.strip() for line in _decoded(name, content).splitlines())
    return ((line, None) for line in lines if line)


def _of_csv(name: str, content: bytes) -> Iterator[tuple[str, str | None]]:
    reader = csv.DictReader(io.StringIO(_decoded(name, content), newline=""))
    column = _column(name, reader.fieldnames or ())
    with_id = "id" in (reader.fieldnames or ())
    for row in reader:
        yield (row[column] or "").strip(), (row["id"] or "").strip() if with_id else None


def _of_parquet(name: str, content: bytes) -> Iterator[tuple[str, str | None]]:
    try:
        read_table = imported("pyarrow.parquet:read_table")
    except ImportError as error:
        raise ImportError(f'{shown(name)} needs pyarrow; install it with: pip install "avseg[parquet]"') from error
    try:
        table = read_table(io.BytesIO(content))
    except (OSError, ValueError) as error:
        raise ValueError(f"{shown(name)} cannot be read as a Parquet file ({error})") from error
    sources = table[_column(name, table.column_names)].to_pylist()
    ids = table["id"].to_pylist() if "id" in table.column_names else [None] * len(sources)
    for source, key in zip(sources, ids, strict=True):
        yield str(source or ""), None if key is None else str(key)


def _column(name: str, columns: Sequence[str]) -> str:
    """
    Raises:
        ValueError: no column of videos.
    """
    for column in COLUMNS:
        if column in columns:
            return column
    raise ValueError(
        f"{shown(name)} has the columns {', '.join(columns) or 'none'}; wanted one of "
        f"{', '.join(COLUMNS)}, and optionally id for the names of results"
    )
