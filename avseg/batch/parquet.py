"""Tables of a batch as Parquet files with reproducible bytes. Needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise ImportError('pyarrow is not installed; install it with: pip install "avseg[parquet]"') from error

from avseg.batch.manifest import PARQUET
from avseg.batch.results import Results

ROWS = 4096
"""Rows of one group, which is also the number held in memory."""
MASKS = pa.schema(
    [
        ("id", pa.string()),
        ("frame", pa.int32()),
        ("time", pa.float64()),
        ("object", pa.int32()),
        ("class_id", pa.int32()),
        ("class", pa.string()),
        ("score", pa.float64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("counts", pa.string()),
    ]
)
"""The columns of masks: one row for each mask of each frame (docs/how-to/cluster.md)."""
MANIFEST = pa.schema(
    [
        ("id", pa.string()),
        ("status", pa.string()),
        ("source", pa.string()),
        ("bytes", pa.int64()),
        ("runner", pa.string()),
        ("error", pa.string()),
        ("notes", pa.list_(pa.string())),
        ("tries", pa.int32()),
        ("duration", pa.float64()),
        ("seconds", pa.float64()),
        ("begun", pa.string()),
        ("ended", pa.string()),
        ("host", pa.string()),
        ("device", pa.string()),
        ("versions", pa.string()),
        ("revision", pa.int32()),
    ]
)
"""The columns of the manifest; `versions` is a JSON object."""
SIGNATURE = b"avseg.videos"
"""Metadata key of a file of masks: the videos and masks in it."""


def write_rows(results: Results, name: str, schema: Any, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a file group by group and return the number of rows."""
    count = 0
    with results.draft(name) as path, pq.ParquetWriter(str(path), schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=ROWS)
            count += len(group)
    return count


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    waiting: list[Mapping[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def write_masks(results: Results, name: str, signature: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a file of masks and return the number of rows."""
    return write_rows(results, name, MASKS.with_metadata({SIGNATURE: signature.encode()}), rows)


def signature_of(path: Any) -> str:
    """Return the signature of a file of masks, given as path or open file; empty for files of other programs."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, ValueError):
        return ""
    return bytes(metadata.get(SIGNATURE, b"")).decode("utf-8", "replace")


def masks_of(path: Any, key: str) -> list[dict[str, Any]]:
    """Return the rows of one video in a file of masks, in their order."""
    found: list[dict[str, Any]] = pq.read_table(path, filters=[("id", "==", key)]).to_pylist()
    return found


def write_manifest(results: Results, rows: Sequence[Mapping[str, Any]]) -> None:
    """See `avseg.batch.manifest.write_table`."""
    plain = ({**row, "versions": json.dumps(row.get("versions") or {})} for row in rows)
    write_rows(results, PARQUET, MANIFEST, plain)
