"""The queue on disk: jobs in SQLite, so that they survive a restart."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN = ("queued", "running")
"""States of jobs that have not ended."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    token TEXT,
    state TEXT NOT NULL,
    wanted TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    starts INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    fault TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '[]',
    UNIQUE (owner, token)
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, number);
"""


@dataclass(frozen=True)
class Job:
    """A job in the table."""

    number: int
    id: str
    owner: str
    token: str | None
    """The client's name for its request; a repeated request creates no second job."""
    state: State
    wanted: dict[str, Any]
    """An `Order` as plain JSON types; video and sound are names of files in the job's folder."""
    created: float
    """s since 1970, as for all times here."""
    started: float | None
    ended: float | None
    starts: int
    """Number of starts of the work."""
    deaths: int
    """Number of crashes of its process."""
    fault: str
    """Reason of the failure, as one sentence."""
    notes: tuple[str, ...]
    """Remarks about the result."""

    @property
    def is_open(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in OPEN


class Store:
    """Jobs in a file. Every change is one transaction; threads may share it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def add(self, job: str, owner: str, wanted: dict[str, Any], token: str | None = None) -> Job:
        """Add a job to the queue; returns the existing job if its owner has sent the token before."""
        with self._changing() as base:
            if token is not None:
                rows = base.execute("SELECT * FROM jobs WHERE owner = ? AND token = ?", (owner, token)).fetchall()
                if rows:
                    return _job(rows[0])
            values = (job, owner, token, json.dumps(wanted), time.time())
            base.execute(
                "INSERT INTO jobs (id, owner, token, state, wanted, created) VALUES (?, ?, ?, 'queued', ?, ?)", values
            )
            return _job(base.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone())

    def sent_before(self, owner: str, token: str) -> Job | None:
        """Return the job that an owner has sent with this token."""
        rows = self._rows("SELECT * FROM jobs WHERE owner = ? AND token = ?", owner, token)
        return _job(rows[0]) if rows else None

    def find(self, job: str) -> Job | None:
        """Return the job with this id."""
        rows = self._rows("SELECT * FROM jobs WHERE id = ?", job)
        return _job(rows[0]) if rows else None

    def of(self, owner: str, most: int = 100) -> list[Job]:
        """Return the last jobs of an owner, newest first."""
        rows = self._rows("SELECT * FROM jobs WHERE owner = ? ORDER BY number DESC LIMIT ?", owner, most)
        return list(map(_job, rows))

    def take(self) -> Job | None:
        """Start and return the oldest queued job; None if the queue is empty."""
        with self._changing() as base:
            rows = base.execute(
                "UPDATE jobs SET state = 'running', started = ?, starts = starts + 1 WHERE number = "
                "(SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING *",
                (time.time(),),
            ).fetchall()
        return _job(rows[0]) if rows else None

    def end(self, job: str, state: State, fault: str = "", notes: tuple[str, ...] = ()) -> bool:
        """Record the end of a running job; False if it was cancelled meanwhile."""
        return self._change(
            "UPDATE jobs SET state = ?, fault = ?, notes = ?, ended = ? WHERE id = ? AND state = 'running'",
            *(state, fault.encode(errors="backslashreplace").decode(), json.dumps(notes), time.time(), job),
        )

    def again(self, job: str, *, died: bool = False) -> bool:
        """Put a running job back to its place in the queue; False if it was cancelled meanwhile."""
        return self._change(
            "UPDATE jobs SET state = 'queued', deaths = deaths + ? WHERE id = ? AND state = 'running'", int(died), job
        )

    def cancel(self, job: str) -> bool:
        """Cancel a job; returns whether it was queued or running."""
        return self._change(
            "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running')",
            *(time.time(), job),
        )

    def was_cancelled(self, job: str) -> bool:
        """Whether the job was cancelled."""
        found = self.find(job)
        return found is not None and found.state == "cancelled"

    def forget(self, job: str) -> bool:
        """Remove an ended job."""
        return self._change("DELETE FROM jobs WHERE id = ? AND state NOT IN ('queued', 'running')", job)

    def recover(self) -> int:
        """Put interrupted jobs of an earlier process back into the queue and return their number."""
        with self._changing() as base:
            return base.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'").rowcount

    def counts(self) -> dict[str, int]:
        """Return the number of jobs in each state."""
        found = {
            row["state"]: row["jobs"] for row in self._rows("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")
        }
        return {state: found.get(state, 0) for state in ("queued", "running", "done", "failed", "cancelled")}

    def ended(self) -> dict[str, float]:
        """Return the end times of all ended jobs by id."""
        return {row["id"]: row["ended"] for row in self._rows("SELECT id, ended FROM jobs WHERE ended IS NOT NULL")}

    def _change(self, statement: str, *values: Any) -> bool:
        with self._changing() as base:
            return base.execute(statement, values).rowcount > 0

    def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._base.execute(statement, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:  # SQLite itself ends one for which the disk has no room
                    self._base.execute("ROLLBACK")
                raise


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    values["wanted"] = json.loads(values["wanted"])
    return Job(**{**values, "notes": tuple(json.loads(values["notes"]))})
