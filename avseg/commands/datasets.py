"""The data set that a command line names; help pages, completion and messages use its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from avseg.data.config import DataConfig
from avseg.datasets import DATASETS, data_config, foreign_option, renamed_config
from avseg.engine.config import Recipe

PARTS = ("data", "val")
"""Groups of options that belong to a data set."""


def chosen(words: Sequence[str], part: str) -> DataConfig:
    """Return the defaults of the data set that `--PART.name` names; only the shared options if none is named."""
    name = named(words, part)
    return data_config(name) if name in DATASETS else DataConfig()


def named(words: Sequence[str], part: str) -> str:
    """Return the word after the last `--PART.name`; empty if there is none."""
    return behind(words, f"--{part}.name")


def behind(words: Sequence[str], option: str) -> str:
    """Return the word after the last occurrence of an option; empty if there is none."""
    found = ""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def renamed(recipe: Recipe, words: Sequence[str]) -> Recipe:
    """Return the recipe with the data sets that the words name.

    The recipe's values of options that another data set does not have are left out. A recipe that validates on other
    clips of the same data set then validates on the other one, unless `--val.name` names one.
    """
    data, val = named(words, "data"), named(words, "val")
    if data in DATASETS and data != recipe.data.name:
        follows = recipe.val is not None and recipe.val.name == recipe.data.name and not val
        recipe = replace(recipe, data=renamed_config(recipe.data, data), val=None if follows else recipe.val)
    if recipe.val is not None and val in DATASETS and val != recipe.val.name:
        recipe = replace(recipe, val=renamed_config(recipe.val, val))
    return recipe


def foreign(words: Sequence[str], recipe: Recipe | None = None) -> Callable[[str], str | None]:
    """Return messages for options that belong to other data sets than the named one."""

    def said(option: str) -> str | None:
        part, _, field = option.removeprefix("--").partition(".")
        if part not in PARTS:
            return None
        config = getattr(recipe, part, None)
        return foreign_option(
            field.removeprefix("no-").replace("-", "_"), config.name if config else named(words, part)
        )

    return said
