"""Every command line of the pages is one that avseg understands: its options exist and their values fit."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from avseg.cli import command_of, without_plugins
from avseg.commands.parse import Command
from avseg.datasets import DATASETS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACEHOLDERS = ("model.safetensors", "FILE")
"""Model files of the reader, which `finetune` would open: the demo's model stands for them."""
ELSEWHERE = ("toy", "beeps")
"""Words of lines that need the package of examples/toy_family."""

EXTENDING = "docs/how-to/extending.md"


def shell_lines(text: str) -> Iterator[str]:
    """The lines of the shell blocks of a page, continued lines joined."""
    for block in re.findall(r"^[ ]*```(?:bash|sh|shell)\n(.*?)^[ ]*```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def avseg_lines(line: str) -> Iterator[list[str]]:
    """The words behind each `avseg` of a line: after `&&` or `|`, behind variables, or started by another program."""
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word not in ("&&", "|", ";", ">", "&"):
            words.append(word)
            continue
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words[:1] == ["avseg"]:
            yield words[1:]
        elif "-m" in words and words[words.index("-m") + 1 :][:1] == ["avseg"]:
            yield words[words.index("-m") + 2 :]
        words = []


LINES = sorted(
    {
        (str(page.relative_to(ROOT)), tuple(words))
        for page in PAGES
        for line in shell_lines(page.read_text("utf-8"))
        for words in avseg_lines(line)
    }
)


def test_lines_are_found() -> None:
    assert len(LINES) > 100
    assert ("README.md", ("demo",)) in LINES


@pytest.mark.parametrize(("page", "words"), LINES, ids=lambda part: part if isinstance(part, str) else " ".join(part))
def test_a_line_is_understood(page: str, words: tuple[str, ...]) -> None:
    if any(word.startswith(ELSEWHERE) or Path(word).name.startswith(ELSEWHERE) for word in words):
        pytest.skip("needs the package of examples/toy_family")
    if page == EXTENDING and any("mine" in word or "tones" in word for word in words):
        pytest.skip("given by tests/docs/test_extending.py, with the files of the page")
    given = without_plugins(list(words))
    if given[0] == "train" and "--init.model" in given:
        place = given.index("--init.model") + 1
        given[place] = "demo" if given[place] in PLACEHOLDERS else given[place]
    if {"--help", "--help-all", "--version"} & set(given) or given == ["train"]:
        return
    command, rest = command_of(given)
    assert isinstance(command, Command), f"{page}: {command} has no such command: {rest}"
    command.parse(list(rest))
    sets = [value for option, value in pairwise(given) if option == "--data.name"]
    assert set(sets) <= {*DATASETS, "NAME"}, f"{page}: there is no data set {sets}"


WRONG = (
    "avseg predict band.mp4 --modle demo",
    "AVSEG_DEBUG=1 avseg evaluate demo --data.name synt",
    "avseg train tpavi_s5",
    "avseg weights fetsh zeroshot",
)


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_noticed(line: str) -> None:
    (words,) = avseg_lines(line)
    with pytest.raises((SystemExit, ValueError, AssertionError)):
        test_a_line_is_understood("a page", tuple(words))
