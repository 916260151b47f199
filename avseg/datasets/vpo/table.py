"""The tables of VPO: rows of sources to samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avseg.config import did_you_mean
from avseg.data.tables import Row, check_names, read_table
from avseg.datasets.vpo.classes import vpo_classes, vpo_mask_ids

COLUMNS = ("img_Id", "ann_Ids", "cateId", "cateName", "vgg_file", "split", "audio_pos")


@dataclass(frozen=True)
class SampleTable:
    """The folder and the table of SS, MS or MSMI."""

    folder: str
    table: str
    by_row: bool = False
    """Each row is a sample of its own (SS); otherwise all rows of a picture are one."""
    borrows: bool = False
    """Rows whose `multi_instance` is 0 take picture and mask from VPO-MS."""


SS = SampleTable("VPO-SS", "vpo_ss_data_stereo.csv", by_row=True)
MS = SampleTable("VPO-MS", "vpo_ms_data_stereo.csv")
MSMI = SampleTable("VPO-MSMI", "vpo_msmi_data_stereo.csv", borrows=True)
TABLES = {"vpo_ss": SS, "vpo_ms": MS, "vpo_msmi": MSMI}


@dataclass(frozen=True)
class PlacedSound:
    """One thing that sounds."""

    class_id: int
    sound: Path
    position: float
    """From 0, left, to 1, right."""


@dataclass(frozen=True)
class Sample:
    """A picture, which of it sounds, and its sources."""

    id: str
    image: Path
    mask: Path
    sources: tuple[PlacedSound, ...]


def read_samples(root: Path, sounds: Path, layout: SampleTable, splits: Sequence[str]) -> list[Sample]:
    """The samples of some splits, in the order in which the table first names them.

    Args:
        root: The folder that holds VPO-SS, VPO-MS and VPO-MSMI.
        sounds: The folder of the sounds.

    Raises:
        FileNotFoundError: no table.
        ValueError: a table without a column, or a row (its line is named) with a class that VPO does not have, an id
            that is no number, a position outside [0, 1], or a `multi_instance` that differs within a picture.
    """
    path = root / layout.folder / layout.table
    columns = (*COLUMNS, "multi_instance") if layout.borrows else COLUMNS
    rows = read_table(path, [(name, None) for name in columns])
    check_names(path, rows, ["vgg_file"])
    groups: dict[tuple[int, ...], list[tuple[Row, PlacedSound]]] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{path} line {number}"
        source, image = _source(row, sounds, where), _number(row, "img_Id", where)
        wanted = row["split"] in splits
        key = (wanted, image, _number(row, "ann_Ids", where), number) if layout.by_row else (wanted, image)
        groups.setdefault(key, []).append((row, source))
    # Samples of other splits are made as well: a table that is wrong is wrong for every split.
    samples = [(key[0], _sample(root, group, layout)) for key, group in groups.items()]
    return [sample for wanted, sample in samples if wanted]


def _source(row: Row, sounds: Path, where: str) -> PlacedSound:
    name, names = row["cateName"], vpo_classes()
    if name not in names[1:]:
        raise ValueError(f"{where} has the class {name!r}, which is not in VPO; {did_you_mean(name, names[1:])}")
    class_id = names.index(name)
    if _number(row, "cateId", where) != vpo_mask_ids()[class_id]:
        raise ValueError(
            f"{where} has the cateId {row['cateId']} for {name!r}, wanted {vpo_mask_ids()[class_id]}; correct the row"
        )
    return PlacedSound(class_id, sounds / f"{row['vgg_file']}.wav", _position(row["audio_pos"], where))


def _position(text: str, where: str) -> float:
    try:
        position = float(text)
    except ValueError:
        position = math.nan
    if not 0 <= position <= 1:
        raise ValueError(f"{where} has the audio_pos {text!r}, wanted a number from 0 (left) to 1 (right)")
    return position


def _number(row: Row, column: str, where: str) -> int:
    if not (row[column].isascii() and row[column].isdigit()):
        raise ValueError(f"{where} has the {column} {row[column]!r}, wanted a whole number")
    return int(row[column])


def _sample(root: Path, group: Sequence[tuple[Row, PlacedSound]], layout: SampleTable) -> Sample:
    sources, row = tuple(source for _, source in group), group[0][0]
    name = f"{int(row['img_Id']):012d}"
    if layout.by_row:
        folder, category = root / layout.folder, row["cateName"]
        of_object = f"{name}_{int(row['ann_Ids']):012d}"
        image, mask = folder / "data" / category / f"{name}.jpg", folder / "mask" / category / f"{of_object}.png"
        return Sample(of_object, image, mask, sources)
    folder = root / (_lender(name, group, layout).folder if layout.borrows else layout.folder)
    return Sample(name, folder / "data" / f"{name}.jpg", folder / "mask" / f"{name}.png", sources)


def _lender(name: str, group: Sequence[tuple[Row, PlacedSound]], layout: SampleTable) -> SampleTable:
    """Which subset holds picture and mask of a sample of MSMI."""
    found = sorted({row["multi_instance"] for row, _ in group})
    if found not in (["0"], ["1"]):
        raise ValueError(
            f"{layout.table} gives the picture {name} the multi_instance {' and '.join(map(repr, found))}, wanted 0 "
            "(read from VPO-MS) or 1 (read from VPO-MSMI), the same in all its rows; correct the rows"
        )
    return MS if found == ["0"] else MSMI
