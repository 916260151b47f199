"""The results of a comparison: tables for the terminal, JSON, CSV and a page (docs/how-to/compare.md)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avseg.engine.comparison.differences import LEVEL, Difference, FigureDifferences, scores_of
from avseg.engine.comparison.options import Draws
from avseg.io.files import write_text
from avseg.metrics.base import Row
from avseg.render.report import Page
from avseg.version import __version__

FORMAT_VERSION = 1
MOST_LISTED = 20
"""Clips in the table of the page."""
Picture = tuple[Path, str, str]
"""A picture's file, what it shows, and its caption."""


@dataclass(frozen=True)
class Comparison:
    """Two models on the same clips. As text: tables for the terminal."""

    a: str
    b: str
    """The two sides: files of models or predictions, or folders of evaluations."""
    suites: tuple[str, ...]
    protocols: tuple[str, ...]
    data: Mapping[str, Any]
    """The data set's options, with `split`."""
    classes: Sequence[str]
    """Names by class id, background first."""
    found: FigureDifferences
    clips: Sequence[tuple[Row, Row]]
    """The rows of A and of B for every clip, in the order of the data set."""
    draws: Draws
    seconds: float = 0.0
    main: bool = True
    """False in all but the first of several processes, which alone writes and prints."""

    @property
    def ranked_by(self) -> str:
        """The first figure that clips have as well; empty where there is none."""
        known = scores_of(self.clips[0][0]) if self.clips else {}
        return next((each.figure for each in self.found.figures if each.figure in known), "")

    def ranked(self) -> list[tuple[float, Row, Row]]:
        """B - A of the first figure, and the rows of A and of B: the clips that differ most first; equal ones not."""
        name = self.ranked_by
        pairs = [(_value(b, name) - _value(a, name), a, b) for a, b in self.clips]
        unlike = [pair for pair in pairs if pair[0] and not math.isnan(pair[0])]
        return sorted(unlike, key=lambda pair: (-abs(pair[0]), int(pair[1]["index"])))

    @property
    def balance(self) -> str:
        """On how many clips which of the two has more of the first figure."""
        values = [_value(b, self.ranked_by) - _value(a, self.ranked_by) for a, b in self.clips]
        more, less, equal = (sum(test) for test in zip(*((v > 0, v < 0, v == 0) for v in values), strict=True))
        return f"{self.ranked_by} per clip: B is higher on {more}, A on {less}, {equal} equal"

    @property
    def title(self) -> str:
        """The data set, its split, and under which suites and protocols it is judged."""
        suites, protocols = " + ".join(self.suites), " + ".join(self.protocols)
        where = f"{self.data.get('name')} {self.data.get('split')}"
        return f"{where}, {len(self.clips)} clip{'s' * (len(self.clips) != 1)}, {suites}, {protocols}"

    def rows(self) -> list[dict[str, str]]:
        """A row for every figure."""
        return [{"figure": each.figure, **_cells(each)} for each in self.found.figures]

    def class_rows(self, *, first: bool = False) -> list[dict[str, str]]:
        """A row for every class and figure; `first`: of the first figure alone."""
        return [
            {"class": self.classes[each.class_id or 0], "figure": each.figure, **_cells(each)}
            for each in self.found.classes
            if not first or each.figure == self.found.classes[0].figure
        ]

    def remarks(self) -> list[str]:
        """Lines below the tables: which clips, and why intervals are missing."""
        missing: dict[str, list[str]] = {}
        for each in self.found.figures:
            if each.missing:
                missing.setdefault(each.missing, []).append(each.figure)
        lines = [self.balance] if self.ranked_by else []
        return [*lines, *(f"no interval of {', '.join(names)}: {why}" for why, names in missing.items())]

    def to_dict(self) -> dict[str, Any]:
        """The content of compare.json; a figure that is not a number becomes null."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": "avseg.comparison",
            "a": self.a,
            "b": self.b,
            "suites": list(self.suites),
            "protocols": list(self.protocols),
            "data": dict(self.data),
            "clips": len(self.clips),
            "level": LEVEL,
            "draws": self.draws.draws,
            "seed": self.draws.seed,
            "figures": {each.figure: _plain(each) for each in self.found.figures},
            "classes": [
                {"id": each.class_id, "class": self.classes[each.class_id or 0], "figure": each.figure, **_plain(each)}
                for each in self.found.classes
            ],
            "ranked_by": self.ranked_by,
            "seconds": round(self.seconds, 3),
            "version": __version__,
        }

    def csv(self) -> str:
        """A line for every clip, in the order of the data set: each of its figures of A, of B, and B - A."""
        known = {name for pair in self.clips for row in pair for name in scores_of(row)}
        names = [each.figure for each in self.found.figures if each.figure in known]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ["protocols", "index", "id", *(f"{n}{end}" for n in names for end in (" of A", " of B", " difference"))]
        )
        for a, b in self.clips:
            values = [(_value(a, name), _value(b, name)) for name in names]
            cells = [cell for one, other in values for cell in (one, other, other - one)]
            writer.writerow(["+".join(self.protocols), a["index"], a["id"], *cells])
        return text.getvalue()

    def write(self, out: Path, pictures: Sequence[Picture] = ()) -> None:
        """Write compare.csv, index.html and compare.json into a folder, each whole.

        Args:
            pictures: Of the clips that differ most, shown on the page.
        """
        write_text(out / "compare.csv", self.csv())
        self._page(pictures).write(out / "index.html")
        write_text(out / "compare.json", json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    def _page(self, pictures: Sequence[Picture]) -> Page:
        page = Page("Two models on the same clips", f"A is {self.a}. B is {self.b}. {self.title}.")
        page.table(*_table(self.rows()), caption=f"Scores, and the differences B - A. {_interval_of(self.draws)}")
        for line in self.remarks():
            page.text(line + ".")
        if self.found.classes:
            page.heading("By class")
            page.table(*_table(self.class_rows()), caption="For two equal models, one row in twenty differs by chance.")
        ranked = self.ranked()[:MOST_LISTED]
        if ranked:
            page.heading("Clips that differ most")
            cells = [(str(a["id"]), _value(a, self.ranked_by), _value(b, self.ranked_by), v) for v, a, b in ranked]
            page.table(("clip", "A", "B", "B - A"), cells, caption=f"By {self.ranked_by}.")
        if pictures:
            page.gallery(pictures, tile=640, photographs=True)
        return page

    def __str__(self) -> str:
        width = max(len(each.figure) for each in self.found.figures)
        lines = [f"A {self.a}", f"B {self.b}", self.title]
        for row in self.rows():
            lines.append(f"  {row['figure']:<{width}}  A {row['A']}  B {row['B']}  B - A {row['B - A']} {row['95 %']}")
        return "\n".join([*lines, *self.remarks()])


def _interval_of(draws: Draws) -> str:
    return f"95 %: the interval of the difference, by drawing the clips {draws.draws} times (seed {draws.seed})."


def _cells(each: Difference) -> dict[str, str]:
    known = not math.isnan(each.low)
    return {
        "A": _number(each.a),
        "B": _number(each.b),
        "B - A": _number(each.difference, sign=True),
        "95 %": f"{each.low:+.4f} to {each.high:+.4f}" if known else "-",
        "differ": ("yes" if each.is_clear else "not clear") if known else "-",
    }


def _number(value: float, sign: bool = False) -> str:
    return "-" if math.isnan(value) else f"{value:+.4f}" if sign else f"{value:.4f}"


def _plain(each: Difference) -> dict[str, Any]:
    values = {"a": each.a, "b": each.b, "difference": each.difference, "low": each.low, "high": each.high}
    found: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in values.items()}
    return {**found, "no_interval": each.missing or None}


def _table(rows: Sequence[Mapping[str, str]]) -> tuple[list[str], list[list[str]]]:
    return list(rows[0]), [list(row.values()) for row in rows]


def _value(row: Row, name: str) -> float:
    value = row.get(name, math.nan)
    return math.nan if isinstance(value, str) else float(value)
