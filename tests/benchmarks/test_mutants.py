"""Changes of one token: where they are made and where not, and which tests are asked about them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SOURCE = '''"""A text with 1 < 2."""
from __future__ import annotations
import logging
from typing import Literal

log = logging.getLogger(__name__)
GAP = 0.5
Kind = tuple[Literal["a"], ...] | None


class Line:
    """Of 3 points."""

    length: int = 4

    def cut(self, at: Literal[1, 2], end: int = 7) -> bool:
        """Not 5 - 6."""
        if not at:  # 1 - ü
            raise ValueError(f"{at - 1} is below {1 + 1}")
        log.warning("told", at - 1)
        ü = -at
        return "ü" in "" and max(at, ü) <= end
'''


def modules(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return [importlib.import_module(name) for name in names]


def test_changes_leave_texts_types_and_messages_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (module,) = modules(monkeypatch, "mutants_changes")
    found = module.changes("a.py", SOURCE.encode())
    assert {(one.function, one.changed) for one in found} == {
        ("", "GAP = 1.0"),
        ("", "length: int = 5"),
        ("", "length: int = 3"),
        ("Line.cut", "def cut(self, at: Literal[1, 2], end: int = 8) -> bool:"),
        ("Line.cut", "def cut(self, at: Literal[1, 2], end: int = 6) -> bool:"),
        ("Line.cut", "if at:  # 1 - ü"),
        ("Line.cut", "ü = at"),
        ("Line.cut", 'return "ü" not in "" and max(at, ü) <= end'),
        ("Line.cut", 'return "ü" in "" or max(at, ü) <= end'),
        ("Line.cut", 'return "ü" in "" and min(at, ü) <= end'),
        ("Line.cut", 'return "ü" in "" and max(at, ü) < end'),
        ("Line.cut", 'return "ü" in "" and max(at, ü) > end'),
    }
    before = SOURCE.splitlines()
    for one in found:
        after = one.applied(SOURCE.encode()).decode().splitlines()
        different = [line for line, (a, b) in enumerate(zip(before, after, strict=True), start=1) if a != b]
        assert different == [one.line] and after[one.line - 1].strip() == one.changed


def test_what_is_drawn_stays_the_same_where_other_lines_change(monkeypatch: pytest.MonkeyPatch) -> None:
    (module,) = modules(monkeypatch, "mutants_changes")
    source = "a = x[1:n] + f(b, c)\na = x[1:n] + f(b, c)\n"
    first = module.changes("a.py", source.encode())
    later = module.changes("a.py", b"import os\n\n" + source.encode())
    assert len({one.key for one in first}) == len(first)
    for seed in (0, 1):
        assert [one.order(seed) for one in first] == [one.order(seed) for one in later]
    assert first[0].order(0) != first[0].order(1)
    assert {one.changed for one in first} >= {
        "a = x[1:n + 1] + f(b, c)",
        "a = x[1:n] + f(c, b)",
        "a = x[1:n] - f(b, c)",
    }


def test_tests_are_asked_that_call_the_function_or_else_the_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (module,) = modules(monkeypatch, "mutants_tests")
    (tmp_path / "avseg").mkdir()
    (tmp_path / "avseg" / "low.py").write_text("LEAST = 1\n", encoding="utf-8")
    (tmp_path / "avseg" / "high.py").write_text("from avseg.low import LEAST\n", encoding="utf-8")
    calls = {
        "t::slow": [("avseg/low.py", "f")],
        "t::quick": [("avseg/low.py", "f"), ("avseg/low.py", "g")],
        "t::far": [("avseg/high.py", "h")],
        "t::none": [("avseg/other.py", "f")],
    }
    tests = [module.Test(name, 1.0 + len(name), frozenset(pairs)) for name, pairs in calls.items()]
    known = module.Known(tmp_path, tmp_path / "known.json")

    def names(function: str) -> list[str]:
        return [test.name for test in known.concerned(tests, "avseg/low.py", function)]

    assert names("f") == ["t::slow", "t::quick"] and names("g") == ["t::quick"]
    assert names("") == names("called_by_none") == ["t::slow", "t::quick", "t::far"]


def test_how_a_run_of_tests_ended_is_told_from_its_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changes, main = modules(monkeypatch, "mutants_changes", "mutants")
    (mutant, *_) = changes.changes("avseg/io/a.py", b"a = 1\n")
    assert not main.judged(mutant, [], 0, 1.0, tmp_path).noticed
    assert main.judged(mutant, [], -24, 1.0, tmp_path).by == "takes too long"
    lines = [{"name": "t::a", "cpu": 1.0, "end": "passed"}, {"name": "t::b", "cpu": 1.0, "end": "failed"}]
    (tmp_path / "ended.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    tried = main.judged(mutant, [], 1, 1.0, tmp_path)
    assert tried.noticed and tried.by == "t::b" and tried.mutant.room == "io"
    assert "io                  1        1   100.0%" in main.table([tried])
