"""Parsing of a command line with tyro, and one-sentence messages about wrong words that suggest the nearest one."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import tyro

from avseg.commands.options import Given, Option, options_of, read_words
from avseg.commands.words import Hidden, both, deferred, registry

MISUSE = 2
"""Exit status of a wrong command line."""
LARGEST = 2**63 - 1
"""The largest whole number that torch takes."""


@dataclass(frozen=True)
class Command:
    """A function or dataclass whose values come from a command line."""

    prog: str
    """The words before its arguments."""
    kind: Callable[..., Any]
    default: Any = None
    """For a dataclass, an instance of `kind`; for a function, replacements of defaults by parameter."""
    absent: Hidden = field(default_factory=dict)
    """Fields that the command does not have."""
    unusual: Hidden = field(default_factory=dict)
    """Fields that only `--help-all` shows."""
    what: str = ""
    """A sentence that describes it; by default the docstring of `kind`."""
    markers: tuple[Any, ...] = ()
    """Markers of `tyro.conf` that apply to the whole command."""
    foreign: Callable[[str], str | None] = lambda option: None
    """Messages for options that are missing here and exist elsewhere."""

    @property
    def options(self) -> list[Option]:
        """The options and positional arguments."""
        found = options_of(self.kind, self.default, self.absent)
        if tyro.conf.FlagConversionOff not in self.markers:
            return found
        return [replace(o, arity=1, choices=("True", "False")) if o.arity == 0 else o for o in found]

    def parse(self, words: Sequence[str]) -> Any:
        """Return the dataclass filled from the words, or the call of the function, not yet made.

        Prints the help page if the words ask for it.

        Raises:
            SystemExit: with status 0 after a help page, 2 after a message about wrong words.
        """
        everything = "--help-all" in words
        words = ["--help"] if everything else list(words)
        left_out = self.absent
        if not everything and any(word in ("-h", "--help") for word in words):
            left_out = both(self.absent, self.unusual)
        complaint = io.StringIO()
        try:
            with contextlib.redirect_stderr(complaint):
                found = self._by_tyro(words, left_out)
        except SystemExit as end:
            if not end.code:
                raise
            misuse(self.prog, self._mistake(words) or _plain(complaint.getvalue()))
        # tyro takes no words at all where any number may stand, also where at least one is wanted, and numbers of any
        # length.
        given = read_words(words, self.options)
        if sentence := _missing(given, self.options) or _too_large(given):
            misuse(self.prog, sentence)
        return found

    def _mistake(self, words: Sequence[str]) -> str | None:
        known = self.options
        given = read_words(words, options_of(self.kind, self.default))
        for item in given:
            if item.option is not None and item.option.names not in [option.names for option in known]:
                return f"{item.name} is for training only; this command does not train"
            if item.option is None and (sentence := self.foreign(item.name)):
                return sentence
        return mistake(words, known)

    def _by_tyro(self, words: list[str], left_out: Hidden) -> Any:
        is_function = not isinstance(self.kind, type)
        given = {} if self.default is None or is_function else {"default": self.default}
        kind = deferred(self.kind, self.default) if is_function else self.kind
        return tyro.cli(
            kind,
            args=words,
            prog=self.prog,
            description=self._description(),
            config=self.markers,
            registry=registry(left_out),
            **given,
        )

    def _description(self) -> str:
        """Return what the command does and how to see the options that its page leaves out."""
        summary = self.what or re.split(r"\n+Args:", inspect.getdoc(self.kind) or "")[0]
        return wrapped(f"{summary}\n\nMore options: {self.prog} --help-all" if self.unusual else summary)


class Group(Mapping[str, Callable[..., Any]]):
    """Commands by the next word of a command line, each built on first use.

    Args:
        what: A sentence that describes them.
        noun: The kind of thing that the next word names, such as "data set".
        names: All names.
        make: Builds the command of a name.
    """

    def __init__(
        self, what: str, noun: str, names: Callable[[], Iterable[str]], make: Callable[[str], Callable[..., Any]]
    ) -> None:
        self.what, self.noun, self._names, self._make = what, noun, names, make

    def __iter__(self) -> Iterator[str]:
        yield from self._names()

    def __len__(self) -> int:
        return len(list(self._names()))

    def __contains__(self, name: object) -> bool:
        return name in list(self._names())

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._make(name)


def wrapped(text: str) -> str:
    """Wrap paragraphs to the width of the terminal, as tyro does for all other texts.

    tyro joins lines that begin with a letter, so all lines but the first of a paragraph are indented.
    """
    width = shutil.get_terminal_size().columns
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(paragraph, width, subsequent_indent="  ") for paragraph in paragraphs)


def misuse(prog: str, sentence: str) -> NoReturn:
    """Print what is wrong with a command line and end the program."""
    print(f"{prog}: {sentence} (help: {prog} --help)", file=sys.stderr)
    sys.exit(MISUSE)


def mistake(words: Sequence[str], options: Sequence[Option]) -> str | None:
    """Return one sentence about the first mistake on a command line; None if there is none."""
    given = read_words(words, options)
    for before, item in zip([None, *given], given, strict=False):
        if before and before.option and before.option.arity == 0 and item.option is None and item.values:
            return f"{before.name} is a switch and takes no value, got {item.name!r}"
        if sentence := _wrong_word(item, options):
            return sentence
    return _missing(given, options)


def _too_large(given: Sequence[Given]) -> str | None:
    """Return a sentence about whole numbers that are too large for torch."""
    for item in given:
        for value in item.values if item.option is not None and item.option.kind is int else ():
            digits = value.lstrip("+-0")
            if digits.isdecimal() and (len(digits) > 19 or int(digits) > LARGEST):
                return f"{item.name} got a number of {len(digits)} digits; the largest allowed is {LARGEST}"
    return None


def _missing(given: Sequence[Given], options: Sequence[Option]) -> str | None:
    taken = [item.option for item in given]
    missing = [option.shown for option in options if option.required and option not in taken]
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing" if missing else None


def _wrong_word(given: Given, options: Sequence[Option]) -> str | None:
    option = given.option
    if option is None:
        return _unknown(given.name, options)
    name = option.shown if option.positional else given.name
    if option.arity == 0 and given.values:
        return f"{name} is a switch and takes no value, got {given.values[0]!r}"
    if option.arity and len(given.values) < option.arity:
        return f"{name} needs {option.metavar} after it, got {' '.join(given.values) or 'nothing'}"
    for value in given.values:
        if sentence := _wrong_value(value, name, option):
            return sentence
    return None


def _wrong_value(value: str, name: str, option: Option) -> str | None:
    if option.nullable and value == "None":
        return None
    if option.choices and value not in option.choices:
        got = f"{value!r} is" if option.positional else f"{name} got {value!r}, which is"
        return f"{got} none of {', '.join(option.choices)}{did_you_mean(value, option.choices)}"
    if option.kind in (int, float):
        try:
            option.kind(value)
        except ValueError:
            return f"{name} wants {'a whole number' if option.kind is int else 'a number'}, got {value!r}"
    return None


def _unknown(word: str, options: Sequence[Option]) -> str:
    if not word.startswith("-"):
        return f"unexpected word {word!r}; write a value after the name of its option"
    name = word.partition("=")[0]
    named = [option.names for option in options if not option.positional]
    known = [name for names in named for name in names]
    ends = [full for full in known if full.rpartition(".")[2] == name.lstrip("-").replace("_", "-")]
    return f"there is no option {name}{did_you_mean(name, ends or [*known, '--help', '--help-all'], bool(ends))}"


def did_you_mean(word: str, known: Iterable[str], certain: bool = False) -> str:
    """Return the end of a sentence that suggests the nearest known word; empty if none is near."""
    known = list(known)
    near = known[:1] if certain else difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _plain(box: str) -> str:
    """Return the message of tyro's error box on one line, without frame, help texts and advice."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│ ") for line in text.splitlines() if not line.startswith(("╭", "╰"))]
    kept: list[str] = []
    for line in lines:
        if line.startswith("─"):
            break
        kept.append(line)
    sentence = re.sub(r"^Error parsing [\w.-]+: ", "", " ".join(kept).strip())
    return sentence or "the command line cannot be parsed"
