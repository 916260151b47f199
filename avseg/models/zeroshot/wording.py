"""Which nouns are listened for, what the finder is asked for each of them, and which class of the task that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avseg.models.zeroshot.catalogue import TAGGERS
from avseg.models.zeroshot.config import ZeroShotConfig
from avseg.models.zeroshot.names import Nouns, audioset, plain, table_nouns
from avseg.types import Task

PEOPLE = ("man", "woman", "boy", "girl", "baby")
"""Prompts for persons, if the classes distinguish them."""
_ANYBODY = ("person", "crowd of people")


@dataclass(frozen=True)
class Prompt:
    """A text for the finder."""

    text: str
    class_id: int
    """1..K of the task; 1 of a binary one."""


@dataclass(frozen=True)
class Wording:
    """Nouns and prompts of a model."""

    nouns: tuple[str, ...]
    """The classes of persons that the gate distinguishes."""
    prompts: tuple[tuple[Prompt, ...], ...]
    """For each noun; none where the task has no class for it."""

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Nouns without a class of the task; nothing is looked for when they sound."""
        return tuple(noun for noun, prompts in zip(self.nouns, self.prompts, strict=True) if not prompts)

    @classmethod
    def of(cls, config: ZeroShotConfig, task: Task) -> Wording:
        """
        Raises:
            ValueError: words that the tagger cannot listen for, or classes none of which it can hear.
        """
        nouns = nouns_of(config, task).names
        if task.kind == "binary":
            return cls(nouns, tuple((Prompt(noun, 1),) for noun in nouns))
        ids = {plain(name): number for number, name in enumerate(task.classes, start=1)}
        wording = cls(nouns, tuple(_prompts(noun, ids, config.people == "ask") for noun in nouns))
        if not any(wording.prompts):
            whose = "the vocabulary; name classes in it" if config.vocabulary else "the tagger; use one that listens"
            whose += ", or leave it out" if config.vocabulary else " for any words (--parts tagger=clap)"
            raise ValueError(f"none of the {len(ids)} classes ({', '.join([*ids][:5])}, ...) is a noun of {whose}")
        return wording


def nouns_of(config: ZeroShotConfig, task: Task, labels: Sequence[str] | None = None) -> Nouns:
    """The nouns of a model, and which of the tagger's labels stand for them.

    Args:
        config: of the model.
        task: of the model.
        labels: of a tagger of AudioSet; by default all there are.
    """
    if TAGGERS.find(config.tagger.kind).any_words:
        return Nouns.of_vocabulary(config.vocabulary or [plain(name) for name in task.classes] or table_nouns())
    names = tuple(audioset()["nouns"]) if labels is None else labels
    return Nouns.of_audioset(names, config.vocabulary, config.music == "instruments")


def _prompts(noun: str, ids: dict[str, int], ask: bool) -> tuple[Prompt, ...]:
    if noun in ids:
        return (Prompt(noun, ids[noun]),)
    of_table = PEOPLE if noun in _ANYBODY else tuple(map(plain, audioset()["avss"].get(noun, ())))
    known = [name for name in of_table if name in ids]
    if len(known) > 1 and ask:
        return tuple(Prompt(name, ids[name]) for name in known)
    return (Prompt(noun, ids[known[0]]),) if known else ()
