"""`avseg train`: one run of a recipe, or a sweep over values of its fields."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import arg

from avseg.config import did_you_mean, to_dict
from avseg.engine.config import Recipe
from avseg.engine.folder import flat
from avseg.engine.sweep import Outcome, Variant, sweep


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe; `avseg recipes` lists them."""

    recipe: Annotated[Recipe, arg(name="")]
    out: Path | None = None
    """Run folder; by default runs/<recipe>."""
    resume: bool = True
    """Go on from the last checkpoint of the run folder where there is one."""
    sweep: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """FIELD=VALUE,VALUE: a run for every value, and where this is given more than once for every combination, one after
    the other in folders below `out`, with a table in sweep.json (docs/training.md)."""


@dataclass(frozen=True)
class _Changed:
    """A recipe whose fields are given as words."""

    recipe: Annotated[Recipe, arg(name="")]


def parse(name: str, arguments: Sequence[str]) -> Train:
    """What `avseg train NAME ...` asks for."""
    from avseg.recipes import get_recipe

    return tyro.cli(
        Train,
        default=Train(get_recipe(name)),
        args=list(arguments),
        prog=f"avseg train {name}",
        config=(tyro.conf.AvoidSubcommands,),
    )


def run(name: str, arguments: Sequence[str]) -> int:
    """Train as asked; 1 where a run of a sweep failed."""
    command = parse(name, arguments)
    from avseg.engine.run import train_recipe

    out = command.out or Path("runs") / name
    if not command.sweep:
        print(f"best model: {train_recipe(command.recipe, out, resume=command.resume)}")
        return 0
    if not command.resume:
        raise ValueError("a sweep goes on where its runs are; choose another --out instead of --no-resume")
    outcomes = sweep(variants(command.recipe, command.sweep), out, name, train_recipe)
    _print(outcomes)
    print(f"table: {out / 'sweep.json'}")
    return int(any(outcome.state != "finished" for outcome in outcomes))


def variants(recipe: Recipe, sweeps: Sequence[str]) -> list[Variant]:
    """The recipes of every combination of values, the last field changing fastest.

    Args:
        recipe: what they all depart from.
        sweeps: `FIELD=VALUE,VALUE` each; words of a value that is a list stand between spaces.

    Raises:
        ValueError: no `=`, no value, a field twice, or one that the recipe does not have.
    """
    fields: dict[str, list[str]] = {}
    known = flat(to_dict(recipe))
    for text in sweeps:
        field, equals, listed = text.partition("=")
        field, values = field.strip().replace("-", "_"), [value.strip() for value in listed.split(",")]
        if not equals or not all(values):
            raise ValueError(f"--sweep {text!r}, wanted FIELD=VALUE,VALUE, such as train.seed=0,1,2")
        if field in fields:
            raise ValueError(f"--sweep names {field} twice; give all its values at once, between commas")
        if field not in known:
            raise ValueError(f"--sweep names {field!r}, which the recipe does not have; {did_you_mean(field, known)}")
        fields[field] = values
    combinations = itertools.product(*fields.values())
    named = [dict(zip(fields, values, strict=True)) for values in combinations]
    return [Variant(values, _changed(recipe, values)) for values in named]


def _changed(recipe: Recipe, values: dict[str, str]) -> Recipe:
    """`recipe` with values as the command line reads them; wrong ones end the program with its sentence."""
    words: list[str] = []
    for field, value in values.items():
        words += [f"--{field}", *value.split()]
    changed = tyro.cli(
        _Changed,
        default=_Changed(recipe),
        args=words,
        prog="avseg train --sweep",
        # So that a truth value is a word like any other: --model.quantise False.
        config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
    )
    return changed.recipe


def _print(outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="sweep", title_justify="left", box=None, pad_edge=False)
    fields = list(outcomes[0].values)
    figures = list(dict.fromkeys(name for o in outcomes for name in o.summary.get("last_figures", {})))[:4]
    for column in (*fields, "state", *figures):
        table.add_column(column, overflow="fold")
    for outcome in outcomes:
        last = outcome.summary.get("last_figures", {})
        state = f"{outcome.state}: {outcome.error}" if outcome.error else outcome.state
        table.add_row(*outcome.values.values(), state, *(_figure(last.get(name)) for name in figures))
    Console(width=140, soft_wrap=True).print(table, markup=False)


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float)) else ""
