"""Tables of the command line, as wide as the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

WIDTH_OF_FILES = 160
"""Width in characters if the output is not a terminal and COLUMNS is not set."""
GAP = 2
"""Characters between two columns of a table."""
NARROWEST = 10
"""Smallest width to which a column is narrowed."""


def print_table(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows as a table; long cells continue on the next line and are never cut.

    Columns are as wide as their longest word if the terminal is wide enough, so that names can be copied. If even
    narrow columns do not fit, each row is printed as a list.
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
    """Return the width of each column: its longest word, less if the columns do not fit, more if there is room."""
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
