"""Comparing two folders of evaluations: their data must be the same, and clips are compared one by one."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from avseg.engine.comparison.comparison import Comparison
from avseg.engine.comparison.differences import Side, clip_differences, differences
from avseg.engine.comparison.options import Draws
from avseg.engine.evaluation.report import FORMAT_VERSION
from avseg.metrics.base import Row

KIND = "avseg.evaluation"


@dataclass(frozen=True)
class _Folder:
    path: Path
    head: Mapping[str, Any]
    """result.json."""
    rows: list[Row]

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.head["data"])


def is_evaluation(source: str | PathLike[str]) -> bool:
    """Whether a path is a folder with a result.json."""
    return (Path(source) / "result.json").is_file()


def compare_folders(
    a: str | PathLike[str], b: str | PathLike[str], draws: Draws, given: Sequence[str] = ()
) -> Comparison:
    """Compare two evaluations by what they left.

    Args:
        given: Options that were given and change nothing here.

    Raises:
        ValueError: one is no folder of an evaluation, or they are of two data sets, splits, suites, protocols, or of
            other clips.
    """
    for one, other in ((a, b), (b, a)):
        if not is_evaluation(one):
            raise ValueError(
                f"{other} is the folder of an evaluation but {one} is not; give two folders "
                "written by avseg evaluate --out, or two models"
            )
    if given:
        raise ValueError(
            f"folders of evaluations already record their data; leave out {' and '.join(given)}, or give two models"
        )
    first, second = _read(Path(a)), _read(Path(b))
    _refuse_unlike(first, second)
    sides = Side(_scores(first.head), first.rows), Side(_scores(second.head), second.rows)
    return Comparison(
        f"{a} ({first.head['model']})",
        f"{b} ({second.head['model']})",
        suites=tuple(first.head["suites"]),
        protocols=tuple(first.head["protocols"]),
        data=first.data,
        classes=(),
        found=differences(*sides, draws),
        clips=clip_differences(*sides),
        draws=draws,
    )


def _read(path: Path) -> _Folder:
    where = path / "result.json"
    try:
        head = json.loads(where.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not valid JSON ({error}); run avseg evaluate --out again") from error
    if not isinstance(head, dict) or head.get("kind") != KIND:
        said = head.get("kind") or head.get("format") if isinstance(head, dict) else type(head).__name__
        raise ValueError(f"{where} has the kind {said}, wanted that of avseg evaluate --out ({KIND})")
    if head.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{where} has format version {head.get('format_version')}, wanted {FORMAT_VERSION}; evaluate again"
        )
    with (path / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = [_row(line) for line in csv.DictReader(file)]
    if len(rows) != head.get("clips"):
        raise ValueError(
            f"{path / 'clips.csv'} has {len(rows)} clips, but result.json says {head.get('clips')}; evaluate again"
        )
    return _Folder(path, head, rows)


def _row(line: Mapping[str, str]) -> Row:
    found: Row = {}
    for name, text in line.items():
        if name == "id":
            found[name] = text
        elif name != "protocols":
            value = float(text) if text else math.nan
            found[name] = int(value) if name == "index" else value
    return found


def _scores(head: Mapping[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in head["scores"].items()}


def _refuse_unlike(a: _Folder, b: _Folder) -> None:
    """
    Raises:
        ValueError: something else is evaluated there than here.
    """
    for what, one, other in (
        ("protocol", " + ".join(a.head["protocols"]), " + ".join(b.head["protocols"])),
        ("suite", " + ".join(a.head["suites"]), " + ".join(b.head["suites"])),
        ("data set", a.data.get("name"), b.data.get("name")),
        ("split", a.data.get("split"), b.data.get("split")),
    ):
        if one != other:
            raise ValueError(
                f"{a.path} was evaluated under the {what} {one} and {b.path} under {other}; figures of two {what}s "
                "cannot be compared; evaluate one of them again"
            )
    unlike = [
        key
        for key in {**a.data, **b.data}
        if key not in ("root", "name", "split") and a.data.get(key) != b.data.get(key)
    ]
    if unlike:
        key = unlike[0]
        raise ValueError(
            f"{a.path} was evaluated with --data.{key.replace('_', '-')} {a.data.get(key)} and {b.path} with "
            f"{b.data.get(key)}; evaluate both alike"
        )
    clips = [{(row["index"], row["id"]) for row in folder.rows} for folder in (a, b)]
    for here, there, folder in ((0, 1, a), (1, 0, b)):
        alone = sorted(clips[here] - clips[there], key=str)
        if alone:
            raise ValueError(
                f"the clip {alone[0][1]!r} (number {alone[0][0]}) is in {folder.path} alone; evaluate both on the same "
                "clips"
            )
