"""A command line to values, by tyro; one sentence about wrong words, which names the nearest right ones."""

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
"""Exit status where the words of a command line are wrong."""
LARGEST = 2**63 - 1
"""The largest whole number that torch takes."""


@dataclass(frozen=True)
class Command:
    """A function or dataclass that a command line fills in."""

    prog: str
    """What stands before its words."""
    kind: Callable[..., Any]
    default: Any = None
    """An instance of `kind`, if it is a dataclass; of a function, values in place of defaults by parameter."""
    absent: Hidden = field(default_factory=dict)
    """Fields that the command does not have."""
    unusual: Hidden = field(default_factory=dict)
    """Fields that it has and that only `--help-all` shows."""
    what: str = ""
    """What it does, in a sentence; by default the docstring of `kind`."""
    markers: tuple[Any, ...] = ()
    """Of `tyro.conf`, for all of it."""
    foreign: Callable[[str], str | None] = lambda option: None
    """What is to be said of an option that it does not have here and may have elsewhere."""

    @property
    def options(self) -> list[Option]:
        """What it takes, by name or by place."""
        found = options_of(self.kind, self.default, self.absent)
        if tyro.conf.FlagConversionOff not in self.markers:
            return found
        return [replace(o, arity=1, choices=("True", "False")) if o.arity == 0 else o for o in found]

    def parse(self, words: Sequence[str]) -> Any:
        """The dataclass that the words fill in, or the call of the function that they ask for, not yet made.

        Prints the help page where they ask for it.

        Raises:
            SystemExit: 0 after a help page, 2 after the sentence about wrong words.
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
                return f"{item.name} is for training alone, and this command does not train"
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
        """What the command does, and how the options that its page leaves out are seen."""
        summary = self.what or re.split(r"\n+Args:", inspect.getdoc(self.kind) or "")[0]
        return wrapped(f"{summary}\n\nMore options: {self.prog} --help-all" if self.unusual else summary)


class Group(Mapping[str, Callable[..., Any]]):
    """Commands by the next word of a command line, each made when it is asked for.

    Args:
        what: What they do, in a sentence.
        noun: What the next word names, such as "data set".
        names: All names.
        make: The command of a name.
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
    """Paragraphs whose lines break where the terminal ends, which tyro does for all other texts.

    It joins lines that begin with a letter again, so all but the first of a paragraph are indented.
    """
    width = shutil.get_terminal_size().columns
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(paragraph, width, subsequent_indent="  ") for paragraph in paragraphs)


def misuse(prog: str, sentence: str) -> NoReturn:
    """Say what is wrong with the words of a command line, and end the program."""
    print(f"{prog}: {sentence} (help: {prog} --help)", file=sys.stderr)
    sys.exit(MISUSE)


def mistake(words: Sequence[str], options: Sequence[Option]) -> str | None:
    """What is wrong with the words of a command line, in one sentence; None where nothing is found."""
    given = read_words(words, options)
    for before, item in zip([None, *given], given, strict=False):
        if before and before.option and before.option.arity == 0 and item.option is None and item.values:
            return f"{before.name} is a switch and takes no value, got {item.name!r}"
        if sentence := _wrong_word(item, options):
            return sentence
    return _missing(given, options)


def _too_large(given: Sequence[Given]) -> str | None:
    """The whole numbers that no tensor can have as its size, and torch answers with its own stack."""
    for item in given:
        for value in item.values if item.option is not None and item.option.kind is int else ():
            digits = value.lstrip("+-0")
            if digits.isdecimal() and (len(digits) > 19 or int(digits) > LARGEST):
                return f"{item.name} got a number of {len(digits)} digits, and the largest is {LARGEST}"
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
        return f"{name} wants {option.metavar} behind it, got {' '.join(given.values) or 'nothing'}"
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
        return f"the word {word!r} is not expected here; what is set by an option stands behind its name"
    name = word.partition("=")[0]
    named = [option.names for option in options if not option.positional]
    known = [name for names in named for name in names]
    ends = [full for full in known if full.rpartition(".")[2] == name.lstrip("-").replace("_", "-")]
    return f"there is no option {name}{did_you_mean(name, ends or [*known, '--help', '--help-all'], bool(ends))}"


def did_you_mean(word: str, known: Iterable[str], certain: bool = False) -> str:
    """The end of a sentence that names the nearest of the known words; nothing where none is near."""
    known = list(known)
    near = known[:1] if certain else difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _plain(box: str) -> str:
    """What a box of tyro's says, without its frame, its help texts and its advice, on one line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│ ") for line in text.splitlines() if not line.startswith(("╭", "╰"))]
    kept: list[str] = []
    for line in lines:
        if line.startswith("─"):
            break
        kept.append(line)
    sentence = re.sub(r"^Error parsing [\w.-]+: ", "", " ".join(kept).strip())
    return sentence or "these words cannot be read"
