"""The published weights as tables, for the terminal and for docs/how-to/weights.md. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from avseg.models.record import NOT_STATED, Record
from avseg.weights.records import known


def published() -> tuple[Record, ...]:
    """Return the records of published files."""
    return tuple(record for record in known() if record.published)


def never_published() -> tuple[Record, ...]:
    """Return the records of files that published code writes but that were never published."""
    return tuple(record for record in known() if not record.published)


def blocks(records: tuple[Record, ...]) -> list[dict[str, str]]:
    """Return one row per record: name, and lines of content, source and command."""
    return [{"record": record.name, "content and command": _lines(record)} for record in records]


def _lines(record: Record) -> str:
    origin = {"file": _files(record), "from": record.place, "licence": record.licence}
    if not record.published:
        origin = {"code": record.place, "licence": record.licence}
    return "\n".join((record.what, *(f"{name + ':':<8} {value}" for name, value in origin.items()), record.command, ""))


def _files(record: Record) -> str:
    return ", ".join(record.files) or NOT_STATED


def markdown() -> str:
    """Return the tables of docs/how-to/weights.md; `avseg weights list --markdown` prints them."""
    first = [
        ("record", "what it is", "file", "from", "licence", "taken by"),
        *((f"`{r.name}`", r.what, _files(r), r.place, r.licence, _command(r)) for r in published()),
    ]
    second = [
        ("record", "what it is", "code that writes it", "licence", "taken by"),
        *((f"`{r.name}`", r.what, r.place, r.licence, _command(r)) for r in never_published()),
    ]
    return f"{_table(first)}\n{NEVER}:\n\n{_table(second)}"


NEVER = "Never published; usable if someone has trained them"


def _command(record: Record) -> str:
    return f"`{record.command}`" if record.command.startswith("avseg ") else record.command


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)
