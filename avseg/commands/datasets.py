"""Which data set a command line names: its own options are those that help pages, completion and messages know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from avseg.data.config import DataConfig
from avseg.datasets import DATASETS, data_config, foreign_option, own_config
from avseg.engine.config import Recipe

PARTS = ("data", "val")
"""Groups of options that are of a data set."""


def chosen(words: Sequence[str], part: str) -> DataConfig:
    """The defaults of the data set that `--PART.name` names; the shared options alone where none is named."""
    name = named(words, part)
    return data_config(name) if name in DATASETS else DataConfig()


def named(words: Sequence[str], part: str) -> str:
    """The word behind the last `--PART.name`; empty where there is none."""
    return behind(words, f"--{part}.name")


def behind(words: Sequence[str], option: str) -> str:
    """The word behind the last place where an option stands; empty where there is none."""
    found = ""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def renamed(recipe: Recipe, words: Sequence[str]) -> Recipe:
    """A recipe with the data sets that the words name, each with its own options and the recipe's values of them.

    Raises:
        ValueError: the recipe asks for an option that the other data set does not have.
    """
    data, val = named(words, "data"), named(words, "val")
    if data in DATASETS:
        recipe = replace(recipe, data=own_config(replace(recipe.data, name=data)))
    if recipe.val is not None and val in DATASETS:
        recipe = replace(recipe, val=own_config(replace(recipe.val, name=val)))
    return recipe


def foreign(words: Sequence[str], recipe: Recipe | None = None) -> Callable[[str], str | None]:
    """What is to be said of an option that is of other data sets than the one that is named, if it is one."""

    def said(option: str) -> str | None:
        part, _, field = option.removeprefix("--").partition(".")
        if part not in PARTS:
            return None
        config = getattr(recipe, part, None)
        return foreign_option(
            field.removeprefix("no-").replace("-", "_"), config.name if config else named(words, part)
        )

    return said
