"""The table of docs/results/speed.md from what `targets.py --out` wrote.

    python benchmarks/targets_table.py targets.json            print it
    python benchmarks/targets_table.py targets.json --write    put it into docs/results/speed.md, between its marks

Without a file all figures are dashes.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from targets import ROWS, Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "speed.md"
BEGIN, END = "<!-- targets -->", "<!-- /targets -->"
NONE = "—"


def table(told: dict[str, Any]) -> str:
    """Markdown: machine and versions in a sentence, then a row a target."""
    lines = []
    if "machine" in told:
        packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
        lines.append(f"Measured on {told['date']}, {told['machine']}, {packages}, beside {told['old']}.\n")
    lines += ["| what | 4cf0a38 | now | ratio | at most | floor | |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(cells(row, told.get("rows", {}).get(row.name)) for row in ROWS)])


def cells(row: Row, found: dict[str, Any] | None) -> str:
    """One row."""
    wanted = f"{row.target:.2f}"
    if found is None or found["verdict"] == "absent":
        why = found["why"] if found else ""
        return f"| {row.what} | {NONE} | {NONE} | {NONE} | {wanted} | {NONE} | {why} |"
    floor = found["floor"]
    least = f"{amount(floor.get('seconds', floor.get('MiB')), row.unit)}, {floor['bound']}"
    verdict = "**missed**" if found["verdict"] == "missed" else "met"
    told = [amount(found["old"], row.unit), amount(found["new"], row.unit), f"{found['ratio']:.2f}", wanted, least]
    note = f", {found['note']}" if "note" in found else ""
    return f"| {row.what} | {' | '.join(told)} | {verdict}{note} |"


def amount(value: float, unit: str) -> str:
    """Three digits and the unit."""
    if unit == "MiB":
        return f"{value:.0f} MiB"
    if value < 0.1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def written(page: str, new: str) -> str:
    """The page with another table.

    Raises:
        ValueError: it has no marks.
    """
    if BEGIN not in page or END not in page:
        raise ValueError(f"the page has no {BEGIN} and {END}, between which the table stands")
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n\n{new}\n\n{END}", page, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="?", type=Path, help="what targets.py --out wrote")
    parser.add_argument("--write", action="store_true", help="into docs/results/speed.md")
    options = parser.parse_args()
    made = table(json.loads(options.figures.read_text(encoding="utf-8")) if options.figures else {})
    if options.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print(made)


if __name__ == "__main__":
    main()
