"""The outcome of every video of a batch: notes during every run, and one table of all runs.

The choice between notes never depends on clocks, which may differ between machines: a video is done if its result
exists.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from avseg.batch.outcome import Outcome
from avseg.batch.results import Lines, Results, open_results
from avseg.batch.videos import BatchVideo
from avseg.io.address import shown
from avseg.lazy import imported

TABLE = "manifest.jsonl"
PARQUET = "manifest.parquet"
_RANK = {"failed": 1, "done": 2}


class ManifestNotes:
    """Adds a line for each finished or failed video of a run.

    Args:
        results: where they go.
        runner: `local`, `shards` or `ray`.
    """

    def __init__(self, results: Results, runner: str) -> None:
        machine = sha256(platform.node().encode()).hexdigest()[:8]
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._lines: Lines = results.lines(f"{moment}-{machine}-{os.getpid()}-{secrets.token_hex(2)}.jsonl")
        self._runner = runner

    def add(self, video: BatchVideo, outcome: Outcome, revision: int = 0) -> None:
        """Add the outcome of a video, and how often its result was replaced because its file changed."""
        row = {**row_of(video, outcome, self._runner), "revision": int(revision)}
        self._lines.add(json.dumps(row, ensure_ascii=False))

    def close(self) -> None:
        """Write the remaining lines."""
        self._lines.close()


def row_of(video: BatchVideo, outcome: Outcome, runner: str) -> dict[str, Any]:
    """Return a row of the manifest (docs/how-to/cluster.md)."""
    told = outcome.to_dict()
    status = {"status": "failed" if told.pop("status") == "failed" else "done"}
    return {
        "id": told.pop("id"),
        **status,
        "source": shown(video.source),
        "bytes": video.bytes,
        "runner": runner,
        **told,
    }


def rows_by_id(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Choose one row for each video; lines cut by a killed process are skipped.

    A finished row is preferred to a failed one; then the later revision, then a row with details of the work, then more
    attempts, then the greater text.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        row = _row(line)
        if row is None:
            continue
        before = found.get(row["id"])
        if before is None or _weight(row) > _weight(before):
            found[row["id"]] = row
    return found


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    right = isinstance(row, dict) and isinstance(row.get("id"), str) and row.get("status") in _RANK
    return row if right else None


def _weight(row: Mapping[str, Any]) -> tuple[int, int, bool, int, str]:
    told, text = bool(row.get("begun")), json.dumps(row, sort_keys=True)
    return _RANK[row["status"]], int(row.get("revision") or 0), told, int(row.get("tries") or 0), text


def table_of(
    rows: Mapping[str, dict[str, Any]], videos: Sequence[BatchVideo], done: Iterable[str]
) -> list[dict[str, Any]]:
    """Return a row for each video in the list or in the notes, in the order of ids.

    Args:
        rows: as `rows_by_id` gives them.
        videos: those of the list.
        done: ids of all videos with a result.
    """
    listed, there = {video.id: video for video in videos}, set(done)
    return [_settled(key, rows.get(key), listed.get(key), key in there) for key in sorted({*listed, *rows})]


def _settled(key: str, row: dict[str, Any] | None, video: BatchVideo | None, done: bool) -> dict[str, Any]:
    status = "done" if done else "waiting"
    if row is not None and row["status"] == ("done" if done else "failed"):
        return row
    # Killed between the result and its note, or a result that somebody has removed: nothing more is known.
    source = None if video is None else shown(video.source)
    return {"id": key, "status": status, "source": source, "bytes": None if video is None else video.bytes}


def write_table(results: Results, rows: Sequence[Mapping[str, Any]], *, parquet: bool) -> None:
    """Write the table.

    Args:
        rows: rows of `table_of`.
        parquet: also write Parquet.
    """
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    results.write(TABLE, text.encode())
    if parquet:
        imported("avseg.batch.parquet:write_manifest")(results, rows)


def read_manifest(out: str | Path) -> Iterator[dict[str, Any]]:
    """Return the rows of a batch after its last run, in the order of ids.

    Raises:
        FileNotFoundError: there is none.
    """
    results = open_results(str(out))
    content = results.read(TABLE)
    if content is None:
        raise FileNotFoundError(f"{results.shown} has no {TABLE}; avseg batch writes it at the end of a run")
    return (json.loads(line) for line in content.decode().splitlines() if line)
