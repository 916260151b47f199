"""From labels of a sound to nouns of what is to be seen: a table for AudioSet's labels, or a user's own vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

from avseg.config import did_you_mean

TABLE = Path(__file__).with_name("audioset.json")
INSTRUMENT = "musical instrument"
KINDS = {
    "animal": ("Animal", "Whale vocalization"),
    INSTRUMENT: ("Musical instrument", "Singing bowl"),
    "vehicle": ("Vehicle", "Accelerating, revving, vroom"),
    "alarm": ("Alarm", "Steam whistle"),
    "machine": ("Mechanisms", "Single-lens reflex camera"),
    "tool": ("Tools", "Drill"),
}
"""Generic noun to the first and the last label of its kind, in AudioSet's order."""


@dataclass(frozen=True)
class Nouns:
    """Which nouns each label of a tagger stands for.

    A noun's probability is the highest of its labels': AudioSet's labels overlap on purpose, so a sum would count one
    sound several times.
    """

    names: tuple[str, ...]
    """The nouns, in the order of their class ids from 1 on."""
    of_label: tuple[tuple[int, ...], ...]
    """For each label of the tagger, places in `names`; none where the sound has no visible source."""
    kinds: Mapping[int, frozenset[int]]
    """Place of a generic noun to places of the specific nouns of its kind."""

    @classmethod
    def of_audioset(cls, labels: Sequence[str], vocabulary: Sequence[str] = (), music: bool = False) -> Nouns:
        """The nouns of AudioSet's labels by our table.

        Args:
            labels: What the tagger tells apart, by AudioSet's display names.
            vocabulary: Only these nouns are asked for; none: all of the table.
            music: Music stands for any musical instrument.

        Raises:
            ValueError: a label that the table does not have, or a word of the vocabulary that is no noun of it.
        """
        table = audioset()["nouns"]
        unknown = [label for label in labels if label not in table]
        if unknown:
            raise ValueError(
                f"{len(unknown)} labels of the tagger are none of AudioSet's, the first is {unknown[0]!r}; use a "
                "tagger of AudioSet, or one that takes a vocabulary (CLAP)"
            )
        known = table_nouns()
        for word in vocabulary:
            if word not in known:
                raise ValueError(
                    f"no sound of AudioSet stands for {word!r}; {did_you_mean(word, known)} The CLAP tagger takes any "
                    "word (--parts tagger=clap)"
                )
        names = tuple(dict.fromkeys(vocabulary or known))
        places = {name: place for place, name in enumerate(names)}
        added = {"Music": [INSTRUMENT]} if music else {}
        words = [added.get(label) or table[label]["nouns"] or () for label in labels]
        of_label = tuple(tuple(places[noun] for noun in of if noun in places) for of in words)
        return cls(names, of_label, _kinds(places, list(table), table))

    @classmethod
    def of_vocabulary(cls, words: Sequence[str]) -> Nouns:
        """A user's words, each a label and a noun.

        Raises:
            ValueError: none, a word with a dot, which finders take for the end of a noun, or what is no text.
        """
        names = tuple(dict.fromkeys(noun for word in words if (noun := plain(word))))
        if not names:
            raise ValueError("the vocabulary is empty; give nouns with commas between them, or a file with one a line")
        if dotted := [name for name in names if "." in name]:
            raise ValueError(f"{dotted[0]!r} has a dot, which finders take for the end of a noun; leave it out")
        if unread := [name for name in names if any(category(letter) == "Cc" for letter in name)]:
            raise ValueError(f"{unread[0][:40]!r} is not a noun: it contains characters that are not text; give words")
        return cls(names, tuple((place,) for place in range(len(names))), {})

    def generic(self, noun: int) -> bool:
        """Whether a noun names a kind, such as animal, rather than a thing."""
        return noun in self.kinds


def _kinds(places: Mapping[str, int], order: list[str], table: Mapping[str, Any]) -> dict[int, frozenset[int]]:
    found = {}
    for kind, (first, last) in KINDS.items():
        labels = [order[k] for k in range(order.index(first), order.index(last) + 1)]
        members = {noun for label in labels if not table[label].get("generic") for noun in table[label]["nouns"] or ()}
        if kind in places:
            found[places[kind]] = frozenset(places[noun] for noun in members if noun in places)
    return found


@cache
def audioset() -> dict[str, Any]:
    """The table: `nouns` by label, `avss` (classes of AVSBench-semantic by noun), `yamnet_lacks`."""
    content: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return content


@cache
def table_nouns() -> tuple[str, ...]:
    """All nouns of the table, sorted."""
    return tuple(sorted({noun for label in audioset()["nouns"].values() for noun in label["nouns"] or ()}))


def plain(name: str) -> str:
    """The name of a class as a noun: lower case, with spaces."""
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split())


def read_vocabulary(text: str) -> tuple[str, ...]:
    """Nouns of an option: with commas between them, or the name of a text file with such lines.

    Lines that begin with `#` are passed over.

    Raises:
        ValueError: a file that is not there or is no text.
    """
    lines = [text] if "," in text and not _is_file(text) else _lines(text)
    nouns = (word.strip() for line in lines if not line.lstrip().startswith("#") for word in line.split(","))
    return tuple(noun for noun in nouns if noun)


def _lines(text: str) -> list[str]:
    if not (_is_file(text) or Path(text).suffix == ".txt" or "/" in text or "\\" in text):
        return [text]
    try:
        return Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"the vocabulary {text} cannot be read ({why}); give nouns, or a text file in UTF-8"
        ) from error


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # more words than the name of a file may be long
        return False
