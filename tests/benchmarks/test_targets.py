"""The table of targets: both sides in turn, verdicts, and the page that it is written to."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import targets
import targets_cases
import targets_table

ROOT = Path(__file__).parents[2]


def test_every_row_has_something_to_time_and_stands_in_the_docs() -> None:
    page = (ROOT / "docs" / "results" / "speed.md").read_text(encoding="utf-8")
    assert {row.name for row in targets.ROWS if row.measure == "call"} == set(targets_cases.CASES)
    assert len({row.name for row in targets.ROWS}) == len(targets.ROWS)
    for row in targets.ROWS:
        assert f"| {row.what} |" in page and row.measure in targets.MEASURES


def test_sides_go_in_turn_and_the_first_round_is_for_warmth() -> None:
    order: list[str] = []
    took = targets.rounds(3, lambda side: order.append(side) or float(len(order)))
    assert order == ["old", "new", "new", "old"] * 2
    assert took == {"old": [4.0, 5.0, 8.0], "new": [3.0, 6.0, 7.0]}


def bench(tmp_path: Path, **options: Any) -> targets.Bench:
    given = Namespace(**{"threads": 1, "repeats": 1, "quick": True, "profile": True, **options})
    return targets.Bench(given, tmp_path, {"old": ROOT, "new": ROOT}, tmp_path / "log")


def row(name: str, **changes: Any) -> targets.Row:
    return replace(next(row for row in targets.ROWS if row.name == name), **changes)


def test_a_side_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with pytest.raises(targets.Absent, match="failed: KeyError: 'no such row'"):
        targets.Process(bench(tmp_path), "new", "no such row", {})
    assert "Traceback" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.skipif(not os.environ.get("AVSEG_BENCHMARKS"), reason="takes a minute; AVSEG_BENCHMARKS=1 runs it")
def test_a_row_is_measured_beside_another_tree_judged_and_profiled(tmp_path: Path) -> None:
    """The same tree on both sides; the target is one that nothing can meet."""
    told = targets.judged(bench(tmp_path), row("cavp_vpo", target=0.01))
    assert told["verdict"] == "missed" and told["ratio"] == told["new"] / told["old"] > 0.01
    assert min(told["runs"]["old"]) == told["old"] > 0
    floor = told["floor"]
    assert floor["seconds"] == pytest.approx(floor["gflop"] / floor["gflop_per_second"]) and floor["gflop"] > 0.01
    assert 0 < sum(part["share"] for part in told["profile"]) <= 1
    assert "missed" in targets.line(told)


def test_a_row_that_cannot_be_says_why_and_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> Any:
        raise targets.Absent("this CPU has no units for bf16")

    monkeypatch.setitem(targets.MEASURES, "call", absent)
    told = targets.judged(bench(tmp_path), row("tpavi_fast"))
    assert told["verdict"] == "absent" and "no units" in targets.line(told)
    assert targets_table.cells(row("tpavi_fast"), told).endswith("| this CPU has no units for bf16 |")
    with pytest.raises(targets.Absent, match="failed: the process ended"):
        targets._answer("")


def test_figures_become_the_table_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"# Speed\n\n{targets_table.BEGIN}\nold\n{targets_table.END}\n\nmore\n", encoding="utf-8")
    monkeypatch.setattr(targets_table, "PAGE", page)
    floor = {"bound": "products of matrices alone", "seconds": 0.0412}
    told = {
        "machine": "a CPU, 2 threads",
        "date": "2026-11-29",
        "old": "4cf0a38",
        "packages": {"torch": "2.15"},
        "rows": {
            "tpavi_fast": {"old": 0.93, "new": 0.15, "ratio": 0.1613, "unit": "s", "verdict": "met", "floor": floor},
            "avism_memory": {
                "old": 4283.2,
                "new": 3000.0,
                "ratio": 0.7,
                "verdict": "missed",
                "note": "without --memory",
                "floor": {"bound": "the model", "MiB": 1262.0},
            },
        },
    }
    figures = tmp_path / "targets.json"
    figures.write_text(json.dumps(told), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["targets_table", str(figures), "--write"])
    targets_table.main()
    made = page.read_text(encoding="utf-8")
    assert made.startswith("# Speed") and made.rstrip().endswith("more") and "old\n" not in made
    assert "| 0.93 s | 0.15 s | 0.16 | 0.18 | 41.2 ms, products of matrices alone | met |" in made
    assert "| 4283 MiB | 3000 MiB | 0.70 | 0.60 | 1262 MiB, the model | **missed**, without --memory |" in made
    assert made.count("—") == 4 * (len(targets.ROWS) - 2)
    targets_table.main()
    assert page.read_text(encoding="utf-8") == made
    with pytest.raises(ValueError, match="has no <!-- targets -->"):
        targets_table.written("nothing", "table")
