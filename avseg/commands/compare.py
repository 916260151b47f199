"""`avseg compare`: compare two models on the same clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from avseg import engine
from avseg.commands.names import protocols_help, suites_help
from avseg.commands.opening import SharedChoices
from avseg.commands.tables import print_table
from avseg.data.config import DataConfig
from avseg.engine.comparison.options import ComparisonOptions


def compare(
    a: Annotated[Positional[str], arg(metavar="A")],
    b: Annotated[Positional[str], arg(metavar="B")],
    data: DataConfig = DataConfig(),
    split: Literal["train", "val", "test"] | None = None,
    protocol: Annotated[tuple[str, ...], arg(help=protocols_help())] = (),
    suites: Annotated[tuple[str, ...], arg(help=suites_help())] = (),
    out: Path | None = None,
    overlays: int = 0,
    options: Annotated[ComparisonOptions, arg(name="")] = ComparisonOptions(),
    choices: Annotated[SharedChoices, arg(name="")] = SharedChoices(),
) -> int:
    """Compare two models on the same clips: differences B - A with intervals, by class and by clip.

    A and B are models, JSON files of predicted tracks, or two folders written by avseg evaluate --out.

    Args:
        a: A model file, a Hugging Face Hub id, "demo", a name without a file (avseg models), a JSON of tracks, or the
            folder of an evaluation.
        b: The second model; a folder if A is a folder.
        data: The data set: --data.name NAME --data.root DIR. Leave it out for folders of evaluations, which record it.
        split: Split of the data set (default: test).
        protocol: One or several protocols, listed by suite (default: published).
        suites: Metric suites to compute. The default is the data set's own.
        out: Folder for index.html, compare.json, compare.csv and overlays.
        overlays: Write pictures of the N clips that differ most (needs --out).
        options: Options of the intervals and of running the models.
        choices: Options of models that open by name.
    """
    first, second = choices.of(a, b)
    found = engine.compare_files(
        first,
        second,
        data,
        split=split,
        protocol=protocol,
        suites=suites,
        out=out,
        overlays=overlays,
        options=options,
    )
    if found.main:
        print(f"A {found.a}\nB {found.b}")
        print_table(found.title, found.rows())
        if found.found.classes:
            print_table("by class", found.class_rows(first=True))
        for line in found.remarks():
            print(line)
    return 0
