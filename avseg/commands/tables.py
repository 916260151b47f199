"""Tables of the command line, as wide as the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

WIDTH_OF_FILES = 160
"""Columns where the output is no terminal and COLUMNS says nothing."""


def print_table(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of equal columns under their names; what does not fit continues below, nothing is cut.

    Columns are as wide as their longest word where there is room, so that names can be copied.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    console = Console(width=None if sys.stdout.isatty() or os.environ.get("COLUMNS") else WIDTH_OF_FILES)
    for name in rows[0]:
        longest = max(len(word) for row in rows for word in (*row[name].split(), name))
        table.add_column(name, overflow="fold", min_width=min(longest, console.width // 2))
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    console.print(table)
