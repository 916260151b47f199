"""`avseg train`: one run of a recipe, or a sweep over values of its fields."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

from avseg.commands.datasets import behind, foreign, renamed
from avseg.commands.parse import Command
from avseg.commands.tables import print_table
from avseg.config import did_you_mean, to_dict
from avseg.engine.config import InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.engine.training.trackers import check_trackers

if TYPE_CHECKING:
    from avseg.engine.training.sweep import RunOutcome, Variant


@dataclass(frozen=True)
class Train:
    """Train a model with a recipe; `avseg recipes` lists them."""

    recipe: Annotated[Recipe, arg(name="")]
    out: Path | None = None
    """Folder for the run. The default is runs/RECIPE."""
    resume: bool = True
    """Continue from the last checkpoint in the folder of the run, if there is one."""
    sweep: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, arg(metavar="FIELD=VALUE,VALUE")] = ()
    """Train once for each value of a field. If --sweep is given several times, train once for each combination. Each
    run has a folder below --out; sweep.json lists them (docs/how-to/training.md).
    """


@dataclass(frozen=True)
class _Changed:
    """A recipe whose fields come from words."""

    recipe: Annotated[Recipe, arg(name="")]


USUAL: dict[type, tuple[str, ...]] = {
    OptimConfig: ("lr", "weight_decay", "schedule"),
    TrainConfig: (
        "epochs",
        "steps",
        "batch_size",
        "accumulate",
        "seed",
        "workers",
        "precision",
        "log_every",
        "eval_every",
        "save_every",
        "trackers",
    ),
    InitConfig: ("backbone", "vggish", "model", "needs"),
}
"""The fields on a recipe's help page: these, `data.root` and `model.backbone`, twenty in total; `--help-all` shows all.
"""


def command(name: str, words: Sequence[str] = ()) -> Command:
    """Return the command `avseg train NAME` with the options of the data sets that the words name.

    Raises:
        FileNotFoundError: if the recipe reads its model from a file that does not exist.
        ValueError: if there is no such recipe; the message suggests the nearest name.
    """
    from avseg.recipes import describe, get_recipe

    recipe = renamed(get_recipe(name, behind(words, "--init.model")), words)
    return Command(
        f"avseg train {name}",
        Train,
        Train(recipe),
        what=f"Train a model with the recipe {name}.\n\n{describe()[name]}",
        unusual=_unusual(recipe),
        markers=(tyro.conf.AvoidSubcommands,),
        foreign=foreign(words, recipe),
    )


def parse(name: str, arguments: Sequence[str]) -> Train:
    """Parse `avseg train NAME ...`."""
    asked: Train = command(name, arguments).parse(arguments)
    return asked


def _unusual(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return the fields that a help page leaves out; fields that the recipe requires are always shown."""
    kept = {**USUAL, InitConfig: (*USUAL[InitConfig], *recipe.init.needs)}
    left = {kind.__name__: tuple(f.name for f in fields(kind) if f.name not in kept[kind]) for kind in kept}
    of_rooms = {"DataConfig": ("*", "-root", *["-name"] * (not recipe.data.name)), "ModelConfig": ("*", "-backbone")}
    return {**left, **of_rooms, "Recipe": ("val",)}


def run(name: str, arguments: Sequence[str]) -> int:
    """Train, and return 1 if a run of a sweep failed."""
    asked = parse(name, arguments)
    out = asked.out or Path("runs") / name
    if asked.sweep and not asked.resume:
        raise ValueError("--sweep cannot be used with --no-resume; choose another --out for a new sweep")
    departures = variants(asked.recipe, asked.sweep) if asked.sweep else []
    for recipe in (asked.recipe, *(departure.recipe for departure in departures)):
        check_trackers(recipe.train.trackers)
    from avseg.engine.training.run import train_recipe
    from avseg.engine.training.sweep import sweep

    if not asked.sweep:
        print(f"best model: {train_recipe(asked.recipe, out, resume=asked.resume)}")
        return 0
    outcomes = sweep(departures, out, name, train_recipe)
    _print(outcomes)
    print(f"table: {out / 'sweep.json'}")
    return int(any(outcome.state != "finished" for outcome in outcomes))


def variants(recipe: Recipe, sweeps: Sequence[str]) -> list[Variant]:
    """Return the recipe of every combination of values; the last field changes fastest.

    Args:
        recipe: the recipe to change.
        sweeps: items of the form `FIELD=VALUE,VALUE`; separate the words of a list with spaces.

    Raises:
        ValueError: if `=` or a value is missing, a field is given twice, or the recipe does not have the field.
    """
    from avseg.engine.training.folder import flat
    from avseg.engine.training.sweep import Variant

    asked: dict[str, list[str]] = {}
    known = flat(to_dict(recipe))
    for text in sweeps:
        field, equals, listed = text.partition("=")
        field, values = field.strip().replace("-", "_"), [value.strip() for value in listed.split(",")]
        if not equals or not all(values):
            raise ValueError(f"--sweep {text!r}, wanted FIELD=VALUE,VALUE, such as train.seed=0,1,2")
        if field in asked:
            raise ValueError(f"--sweep names {field} twice; give all its values in one --sweep, separated by commas")
        if field not in known:
            raise ValueError(f"--sweep names {field!r}, which the recipe does not have; {did_you_mean(field, known)}")
        asked[field] = values
    combinations = itertools.product(*asked.values())
    named = [dict(zip(asked, values, strict=True)) for values in combinations]
    return [Variant(values, _changed(recipe, values)) for values in named]


def _changed(recipe: Recipe, values: dict[str, str]) -> Recipe:
    """Return `recipe` with values parsed as on the command line; wrong values end the program with a message."""
    words: list[str] = []
    for field, value in values.items():
        words += [f"--{field}", *value.split()]
    # Without switches a truth value is a word like any other: --model.quantise False.
    markers = (tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff)
    recipe = renamed(recipe, words)
    changed: _Changed = Command("avseg train RECIPE", _Changed, _Changed(recipe), markers=markers).parse(words)
    return changed.recipe


def _print(outcomes: Sequence[RunOutcome]) -> None:
    swept = list(outcomes[0].values)
    figures = list(dict.fromkeys(name for o in outcomes for name in o.summary.get("last_figures", {})))[:4]
    rows = []
    for outcome in outcomes:
        last = outcome.summary.get("last_figures", {})
        state = f"{outcome.state}: {outcome.error}" if outcome.error else outcome.state
        values = (*outcome.values.values(), state, *(_figure(last.get(name)) for name in figures))
        rows.append(dict(zip((*swept, "state", *figures), values, strict=True)))
    print_table("sweep", rows)


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float)) else ""
