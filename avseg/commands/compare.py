"""`avseg compare`: two models on the same clips."""

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
    """Compare two models on the same clips: what B has more than A, with intervals, by class, and on which clips.

    A and B are models, tracks that somebody predicted, or two folders that avseg evaluate --out wrote.

    Args:
        a: A model file, a Hugging Face Hub id, "demo", a name without a file (avseg models), a JSON of tracks, or the
            folder of an evaluation.
        b: The other; also a folder where A is one.
        data: The data set: --data.name NAME --data.root DIR. Folders of evaluations say it themselves.
        split: The part of the data set (default: test).
        protocol: One or several (default: published), by suite.
        suites: Metric suites; by default the data set's own.
        out: Folder for index.html, compare.json, compare.csv and overlays.
        overlays: Write pictures of this many clips that differ most (needs --out).
        options: How clips are drawn, and how models run.
        choices: Of models that open by name.
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
