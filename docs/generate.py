"""Write the reference pages that come from the code: commands, configs and JSON schemas.

    python docs/generate.py            write docs/reference/cli/, docs/reference/config/ and docs/reference/schemas.md
    python docs/generate.py --check    exit with 1 if one of them differs from the code

The pages are committed, so building the site needs neither avseg nor its dependencies. tests/test_generated_docs.py
runs the check. Only families and data sets of avseg itself appear, and no package of an extra is needed.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from avseg import cli
from avseg.commands.options import Option, options_in
from avseg.commands.parse import Command, Group
from avseg.commands.words import fields_of, is_config, parameters_of, setting, stripped, without_none
from avseg.config import AudioWindow, InputSpec, SessionOptions, Temporal
from avseg.data.config import DataConfig
from avseg.datasets import DATASETS
from avseg.engine.comparison.options import ComparisonOptions
from avseg.engine.config import GroupConfig, InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.models import FAMILIES

REFERENCE = Path(__file__).parent / "reference"
SCHEMAS = REFERENCE / "schemas"
FILES = ("result", "masks", "tracks", "evaluation")
"""Names of the schemas in the order of their page."""
NOTE = "<!-- docs/generate.py writes this page; change the code that it comes from. -->"
EMPTY = inspect.Parameter.empty
LONGEST = 24
"""Characters of a list of choices that stand beside the name of an option."""

COMMANDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "predict": (
        "Predict, benchmark and export",
        "Commands that run a model on videos. The [how-to](../../how-to/predict.md) shows them at work.",
        ("demo", "predict", "batch", "live", "benchmark", "export"),
    ),
    "train": (
        "Train and evaluate",
        "Commands that train, score and compare models. The how-tos on [training](../../how-to/training.md) and "
        "[comparing](../../how-to/compare.md) show them at work.",
        ("train", "recipes", "evaluate", "compare", "listen", "codes"),
    ),
    "data": (
        "Data sets",
        "Commands that make, check, show and convert the folders of data sets. [Data sets](../datasets.md) describes "
        "the folders.",
        ("data",),
    ),
    "weights": (
        "Models and weights",
        "Commands that list models and get, convert and publish their weights. The "
        "[how-to](../../how-to/weights.md) shows them at work.",
        ("models", "weights", "convert", "push"),
    ),
    "serve": (
        "Services and tools",
        "Commands that open the page in a browser, serve models over HTTP, and describe this machine. The how-tos on "
        "[the page](../../how-to/ui.md) and [the service](../../how-to/serve.md) show them at work.",
        ("ui", "serve", "doctor", "completion"),
    ),
}
"""Page: its title, its first sentences and its commands. Every command stands on one page."""


def linked(text: str) -> str:
    """Text in which the names of pages are links."""
    return re.sub(r"docs/([\w-]+)/([\w-]+)\.md", r"[\2](../../\1/\2.md)", text)


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return re.sub(r"(?<!\\)\|", r"\|", " ".join(linked(text).split())).replace("<", "&lt;")


def value_shown(value: Any) -> str:
    """A default as the command line or Python would write it; a dash where there is none."""
    if value is EMPTY:
        return "required"
    if value is None or value in ((), "", {}) or str(value) == "":
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (tuple, list)):
        return f"`{' '.join(map(str, value))}`"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = type(value)() if _has_defaults(type(value)) else None
        changed = [
            f for f in dataclasses.fields(value) if plain is None or getattr(value, f.name) != getattr(plain, f.name)
        ]
        return f"`{type(value).__name__}({', '.join(f'{f.name}={getattr(value, f.name)!r}' for f in changed)})`"
    return f"`{value.as_posix()}`" if isinstance(value, Path) else f"`{value}`"


def _has_defaults(kind: type) -> bool:
    return all(
        f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        for f in dataclasses.fields(kind)
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, with an empty line after it."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(map(cell, row))} |" for row in rows), ""]


def arguments_of(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring of a function says of each of its parameters."""
    _, _, text = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            break
        if match := re.match(r"    (\w+): (.*)", line):
            name = match[1]
            found[name] = match[2]
        elif name:
            found[name] += f" {line.strip()}"
    return found


def summary_of(function: Callable[..., Any]) -> list[str]:
    """The paragraphs of a docstring before its sections."""
    text = re.split(r"\n+(?:Args|Returns|Raises|Examples):", inspect.getdoc(function) or "")[0]
    return [linked(" ".join(paragraph.split())) for paragraph in text.split("\n\n")]


def option_row(option: Option, text: str = "") -> list[str]:
    """An option as a row of a table; many choices are listed behind its meaning."""
    metavar, text = option.shown if option.positional else option.metavar, option.help or text
    if len(metavar) > LONGEST and option.choices:
        metavar = "WORD" if option.arity else "[WORD ...]"
        text += f" {'One' if option.arity else 'Any'} of: {', '.join(f'`{word}`' for word in option.choices)}."
    if option.positional:
        name = f"`{metavar}`"
    else:
        name = ", ".join(f"`{name}`" for name in option.names)
        name += f" `{metavar}`" if metavar else ""
    return [name, "–" if "(default:" in text else value_shown(option.default), text]


def command_page(command: Command, level: int) -> Iterator[str]:
    """A command: what it does, then its options, those of each group of options in a table of their own."""
    yield from [f"{'#' * level} {command.prog}", ""]
    for paragraph in [*summary_of(command.kind)]:
        yield from [paragraph, ""]
    texts = arguments_of(command.kind)
    plain: list[list[str]] = []
    groups: list[tuple[str, list[list[str]]]] = []
    for parameter in parameters_of(command.kind, command.default):
        text = setting(parameter.hint, "help") or texts.get(parameter.name, "")
        found = list(options_in(parameter, (), command.absent))
        if isinstance(parameter.default, DataConfig):
            groups.append((text, [option_row(o) for o in found if o.names[0] in ("--data.name", "--data.root")]))
            groups[-1][1].append(["`--data.FIELD`", "–", "Any other field of [the data set](../config/data.md)."])
            continue
        if is_config(parameter.hint, parameter.default) and not any(option.positional for option in found):
            groups.append((text, [option_row(option) for option in found]))
        else:
            plain += [option_row(option, text) for option in found]
    heads = ("Option", "Default", "Meaning")
    if plain:
        yield from table(heads, plain)
    for text, rows in groups:
        if rows:
            yield from [f"**{text.rstrip('.')}**" if text else "**More options**", "", *table(heads, rows)]


def train_page(level: int) -> Iterator[str]:
    """`avseg train`, whose options are the fields of a recipe."""
    from avseg.commands.train import USUAL, command

    found = command("tpavi_s4_r50")
    yield from [f"{'#' * level} avseg train RECIPE", "", *summary_of(cli.train), ""]
    own = [option_row(o) for p in fields_of(found.kind) if p.name != "recipe" for o in options_in(p, (), {})]
    yield from table(("Option", "Default", "Meaning"), own)
    usual = ", ".join(f"`{f}`" for names in USUAL.values() for f in names)
    yield from [
        "Every field of the recipe is an option too: `--model.FIELD`, `--data.FIELD`, `--optim.FIELD`, "
        "`--train.FIELD`, `--val.FIELD` and `--init.FIELD`. The config pages list them with types and defaults: "
        "[training](../config/training.md), [data](../config/data.md) and [models](../config/models.md). A recipe sets "
        "some of them to other values; `avseg train RECIPE --help-all` shows the values of a recipe. "
        "`avseg train RECIPE --help` shows the fields that are set most often: `model.backbone`, `data.root`, "
        f"{usual}.",
        "",
    ]


def commands_below(head: str, level: int) -> Iterator[str]:
    """A command, or the commands of a group."""
    if head == "train":
        yield from train_page(level)
        return
    found = cli.group(head)
    if not found:
        command, _ = cli.command_of([head])
        assert isinstance(command, Command)
        yield from command_page(command, level)
        return
    if head != "data":
        yield from [f"{'#' * level} avseg {head}", "", *summary_of(cli.commands()[head]), ""]
        level += 1
    for name, entry in found.items():
        if isinstance(entry, Group):
            yield from group_page(f"avseg {head} {name}", entry, level)
        else:
            command, _ = cli.command_of([head, name])
            assert isinstance(command, Command)
            yield from command_page(command, level)


def group_page(prog: str, entry: Group, level: int) -> Iterator[str]:
    """A command that every data set has: options that all share, then those of some."""
    yield from [f"{'#' * level} {prog} DATASET", "", entry.what, ""]
    rows = {
        name: [option_row(o, text) for o, text in _options_with_texts(entry[name])]
        for name in entry
        if name in OWN_DATASETS
    }
    shared = [row for row in next(iter(rows.values())) if all(row in own for own in rows.values())]
    yield from [f"Data sets: {', '.join(f'`{name}`' for name in rows)}.", ""]
    yield from table(("Option", "Default", "Meaning"), shared)
    alike: dict[str, list[str]] = {}
    for name, own in rows.items():
        left = [row for row in own if row not in shared]
        if left:
            alike.setdefault(json.dumps(left), []).append(name)
    for left_rows, names in alike.items():
        yield from [f"**{', '.join(f'`{name}`' for name in names)}**", ""]
        yield from table(("Option", "Default", "Meaning"), json.loads(left_rows))


def _options_with_texts(function: Callable[..., Any]) -> Iterator[tuple[Option, str]]:
    texts = arguments_of(function)
    for parameter in parameters_of(function):
        for option in options_in(parameter, (), {}):
            yield option, setting(parameter.hint, "help") or texts.get(parameter.name, "")


OWN_DATASETS = [name for name in DATASETS if (source := DATASETS.source(name)) is None or not source.package]
OWN_FAMILIES = [name for name in FAMILIES if (source := FAMILIES.source(name)) is None or not source.package]


def type_shown(hint: Any) -> str:
    """A type as people read it."""
    base = without_none(stripped(hint)[0])
    origin, members = typing.get_origin(base), typing.get_args(base)
    if origin is typing.Literal:
        shown = " \\| ".join(f"`{member}`" for member in members)
    elif origin in (tuple, list):
        inner = [type_shown(member) for member in members if member is not Ellipsis]
        shown = f"list of {inner[0]}" if Ellipsis in members else f"({', '.join(inner)})"
    elif origin is dict:
        shown = f"dict of {type_shown(members[0])} to {type_shown(members[1])}"
    elif dataclasses.is_dataclass(base):
        shown = f"[{base.__name__}](#{base.__name__.lower()})" if base in LINKED else base.__name__
    else:
        shown = getattr(base, "__name__", str(base).replace("typing.", "")).replace("|", "\\|")
    return shown if base is stripped(hint)[0] else f"{shown}, or none"


LINKED: set[type] = set()
"""The dataclasses that the page being written describes."""


def config_part(kind: type, level: int, title: str = "", without: type | None = None) -> Iterator[str]:
    """A dataclass: what it is, and a table of its fields."""
    yield from [f"{'#' * level} {title or kind.__name__}", ""]
    doc = inspect.getdoc(kind) or ""
    if not doc.startswith(f"{kind.__name__}("):
        for paragraph in summary_of(kind):
            yield from [paragraph, ""]
    known = {p.name: p for p in fields_of(without)} if without else {}
    rows = []
    for parameter in fields_of(kind):
        if parameter.name in known and parameter.default == known[parameter.name].default:
            continue
        if without is not None and parameter.name == "name":
            continue
        text = parameter.help or (known[parameter.name].help if parameter.name in known else "") or ""
        rows.append([f"`{parameter.name}`", type_shown(parameter.hint), value_shown(parameter.default), text])
    heads = ("Field", "Type", "Default", "Meaning")
    if rows:
        lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines += [f"| {row[0]} | {row[1]} | {cell(row[2])} | {cell(row[3])} |" for row in rows]
        yield from [*lines, ""]
    else:
        yield from ["No fields of its own.", ""]


def nested_in(kinds: Sequence[type]) -> list[type]:
    """Dataclasses that are types of fields of some, in the order in which they come up."""
    found: list[type] = []
    queue = list(kinds)
    while queue:
        for parameter in fields_of(queue.pop(0)):
            for hint in [stripped(parameter.hint)[0], *typing.get_args(stripped(parameter.hint)[0])]:
                base = without_none(hint)
                if dataclasses.is_dataclass(base) and base not in found and base not in kinds:
                    found.append(base)  # type: ignore[arg-type]
                    queue.append(base)  # type: ignore[arg-type]
    return found


def page(title: str, intro: str, parts: Iterator[str]) -> str:
    """A whole page."""
    return "\n".join([NOTE, "", f"# {title}", "", intro, "", *parts]).rstrip() + "\n"


def cli_pages() -> dict[str, str]:
    """The pages of the command line."""
    left = set(cli.commands()) - {name for _, _, names in COMMANDS.values() for name in names}
    assert not left, f"no page has the commands {sorted(left)}; name them in COMMANDS of docs/generate.py"
    found = {}
    for name, (title, intro, heads) in COMMANDS.items():
        intro += " [The command line](../command-line.md) explains words such as `FILE` and `N`."
        found[f"cli/{name}.md"] = page(title, intro, (line for head in heads for line in commands_below(head, 2)))
    return found


def training_config() -> str:
    """Recipe, optimiser, training, first weights, comparison."""
    kinds = [Recipe, OptimConfig, GroupConfig, TrainConfig, InitConfig, ComparisonOptions]
    LINKED.clear()
    LINKED.update(kinds)
    intro = (
        "The fields of a recipe, for readers who train from Python or set options of `avseg train`. On the command "
        "line a field of `TrainConfig` is `--train.FIELD`, one of `OptimConfig` is `--optim.FIELD`, and one of "
        "`InitConfig` is `--init.FIELD`. The defaults are those of the class; a recipe sets its own."
    )
    return page("Training configs", intro, (line for kind in kinds for line in config_part(kind, 2)))


def data_config() -> str:
    """What all data sets share, and the options of each."""
    LINKED.clear()

    def parts() -> Iterator[str]:
        yield from config_part(DataConfig, 2, "Options of every data set")
        done: dict[type, list[str]] = {}
        for name in OWN_DATASETS:
            done.setdefault(DATASETS[name].config, []).append(name)
        for kind, names in done.items():
            yield from config_part(kind, 2, f"{kind.__name__}: {', '.join(names)}", without=DataConfig)

    intro = (
        "The options of data sets, for readers who open a data set from Python or set options of `avseg train` and "
        "`avseg evaluate`. On the command line a field is `--data.FIELD`, in Python a keyword of "
        "[`data_config`][avseg.datasets.data_config]. The sections of single data sets list the fields that they add, "
        "and shared fields whose default differs."
    )
    return page("Data configs", intro, parts())


def model_config() -> str:
    """What all families share, and the config of each."""
    configs = {name: FAMILIES[name].config for name in OWN_FAMILIES}
    nested = nested_in(list(configs.values()))
    shared = [InputSpec, AudioWindow, Temporal]
    LINKED.clear()
    LINKED.update(nested)

    def parts() -> Iterator[str]:
        for name, kind in configs.items():
            yield from config_part(kind, 2, f"{name}: {kind.__name__}")
            if kind.Options is not SessionOptions:
                yield from config_part(kind.Options, 3, f"{kind.Options.__name__}, options of predictions")
        yield from ["## Shared parts", ""]
        for kind in [*shared, *(one for one in nested if one not in shared)]:
            yield from config_part(kind, 3)

    intro = (
        "The config of every model family, for readers who build a model from Python or change one on the command "
        "line. A field is `--model.FIELD` of `avseg train`, and a keyword of "
        "[`create_model`][avseg.models.files.create_model]. The options of predictions are keys of "
        "`Segmenter(..., options={...})` and options of `avseg predict`."
    )
    return page("Model configs", intro, parts())


def schemas() -> str:
    """The JSON schemas of files."""

    def parts() -> Iterator[str]:
        for name in FILES:
            path = SCHEMAS / f"{name}.schema.json"
            schema = json.loads(path.read_text(encoding="utf-8"))
            yield from [f"## {schema['title']}", "", schema["description"], ""]
            yield from [f"[Download the schema](schemas/{path.name})", ""]
            yield from ["```json", path.read_text(encoding="utf-8").rstrip(), "```", ""]

    intro = (
        "JSON schemas (draft 2020-12) of the files that avseg writes, for programs that read them. "
        "Files of one `format_version` keep their keys and types; a newer release of avseg may add keys."
    )
    return page("JSON schemas", intro, parts())


def pages() -> dict[str, str]:
    """Every generated page by its place below docs/reference."""
    return {
        **cli_pages(),
        "config/training.md": training_config(),
        "config/data.md": data_config(),
        "config/models.md": model_config(),
        "schemas.md": schemas(),
    }


def stale(written: Mapping[str, str]) -> list[str]:
    """The pages that are missing, or differ from what the code says."""
    return [
        name
        for name, text in written.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page differs")
    check = parser.parse_args().check
    written = pages()
    for name in stale(written):
        print(f"docs/reference/{name} {'differs from the code; run python docs/generate.py' if check else 'written'}")
        if not check:
            (REFERENCE / name).parent.mkdir(parents=True, exist_ok=True)
            (REFERENCE / name).write_text(written[name], encoding="utf-8", newline="\n")
    return int(check and bool(stale(written)))


if __name__ == "__main__":
    sys.exit(main())
