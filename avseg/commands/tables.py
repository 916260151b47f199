"""Tables of the command line, as wide as the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

WIDTH_OF_FILES = 160
"""Columns where the output is no terminal and COLUMNS says nothing."""


def print_table(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of equal columns under their names; what does not fit continues below, nothing is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    Console(width=_width()).print(table)


def _width() -> int | None:
    import os

    return None if sys.stdout.isatty() or os.environ.get("COLUMNS") else WIDTH_OF_FILES
