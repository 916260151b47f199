"""Sentences that stop readers: patterns that README, docs, help pages and docstrings' first lines may not contain."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BANNED = {
    "says or knows nothing": r"\b(?:says|knows|tells) (?:nothing|no (?!longer))",
    "is told": r"\b(?:is|are|was|were) told\b(?! apart)|\btold of\b",
    "riddle with what": r"(?:^|[.:;] )What (?:finds|stands|lies|goes wrong|is gone)\b",
    "privative": r"\b(?:finds? no place|wins? (?:not|nowhere)|without a word|from nothing|in vain|gives? no shelter)\b",
    "at hand": r"\bat hand\b",
    "of one's own": r"\b(?:one|somebody|nobody)['’]s(?: own)?\b",
    "odd": r"\b(?:so-manieth|so many a|one in so many|under one roof)\b",
    "personified": r"\b(?:pixel|tensor|file|query|frame|mask|picture)s? (?:asks?|wants?|knows?|looks? for)\b",
    "order": r"\b(?:gave way|gives? way|goes? on when|as it (?:stands|lies))\b",
    "is no": r"(?<!there )\b(?:is|are) no (?!longer\b|more\b|doubt\b|exception\b)(?=[a-z]+[ ,.;:])",
}
HOLDERS = (ast.Module, ast.ClassDef, ast.FunctionDef)
FIRST_LINE = r"(?:What|Who|Those|That which|Of|See above|The same)\b(?!.*\?)"
"""How the first line of a docstring may not begin: it names the thing, or says what the function does."""


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines of Markdown without code, addresses and comments, by number."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>", "", line)


def found(line: str) -> list[str]:
    text = re.sub(r"`[^`]*`", "", line)
    return [name for name, pattern in BANNED.items() if re.search(pattern, text, re.IGNORECASE)]


def first_lines() -> Iterator[tuple[str, str]]:
    """First lines of docstrings, all of commands', and texts below fields: these are what help pages show."""
    for path in sorted((ROOT / "avseg").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for place, text in enumerate(node.body if isinstance(node, HOLDERS) else ()):
                if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    lines = str(text.value.value).strip()
                    whole = place > 0 or path.parent.name == "commands" or path.name == "cli.py"
                    yield f"{path.relative_to(ROOT)}:{text.lineno}", lines if whole else lines.splitlines()[0]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_docs() -> None:
    hits = [f"{p.name}:{n}: {w}: {t.strip()}" for p in PAGES for n, t in prose(p.read_text("utf-8")) for w in found(t)]
    assert not hits, "\n".join(hits)


def test_first_lines_of_docstrings() -> None:
    hits = [f"{where}: {text}" for where, text in first_lines() if found(text) or re.match(FIRST_LINE, text)]
    assert not hits, "\n".join(hits)
