"""Tables of the command line, as wide as the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

WIDTH_OF_FILES = 160
"""Columns where the output is no terminal and COLUMNS says nothing."""
GAP = 2
"""Columns between two columns of a table."""
NARROWEST = 10
"""No column of a table is made narrower than this for the sake of others."""


def print_table(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of equal columns under their names; what does not fit continues below, nothing is cut.

    Columns are as wide as their longest word where there is room, so that names can be copied. Where not even narrow
    columns have room, every row is a list of its own.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() or os.environ.get("COLUMNS") else WIDTH_OF_FILES)
    widths = _widths(rows, console.width)
    if sum(widths) + GAP * (len(widths) - 1) > console.width:
        console.print(Text(title))
        for row in rows:
            console.print(
                Text("\n".join(f"{name}: {value}" for name, value in row.items())), end="\n\n", soft_wrap=True
            )
        return
    console.print(Text(title, "italic"))
    table = Table(box=None, pad_edge=False)
    for name, width in zip(rows[0], widths, strict=True):
        table.add_column(name, overflow="fold", width=width)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    console.print(table)


def _widths(rows: Sequence[Mapping[str, str]], width: int) -> list[int]:
    """Of each column: its longest word, less where they have no room together, and more where there is room."""
    columns = [[name, *(row[name] for row in rows)] for name in rows[0]]
    widths = [max(len(word) for text in column for word in text.split() or [""]) for column in columns]
    wanted = [max(len(line) for text in column for line in text.splitlines() or [""]) for column in columns]
    room = width - GAP * (len(widths) - 1) - sum(widths)
    while room < 0 and max(widths) > NARROWEST:
        widest = widths.index(max(widths))
        taken = min(-room, widths[widest] - NARROWEST)
        widths[widest], room = widths[widest] - taken, room + taken
    while room > 0 and any(here < there for here, there in zip(widths, wanted, strict=True)):
        tightest = max(range(len(widths)), key=lambda place: wanted[place] / max(widths[place], 1))
        widths[tightest], room = widths[tightest] + 1, room - 1
    return widths
