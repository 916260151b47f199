"""The CSV of the distributed layout and the manifest; what another build left in the same folder."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avseg.datasets.vpo.build.draw import DrawnSample
from avseg.datasets.vpo.build.options import FOLDERS
from avseg.datasets.vpo.build.write import mask_id, picture_place
from avseg.io.files import write_text

COLUMNS = ("img_Id", "ann_Ids", "cateId", "cateName", "vgg_file", "split", "audio_pos")
Row = dict[str, str]


def columns(kind: str) -> tuple[str, ...]:
    """Columns of a set's CSV."""
    return (*COLUMNS, "multi_instance") if kind == "msmi" else COLUMNS


def table(out: Path, kind: str) -> Path:
    """The CSV of a set; it serves mono and stereo."""
    return out / "VPO" / FOLDERS[kind] / f"vpo_{kind}_data_stereo.csv"


def manifest(out: Path, kind: str) -> Path:
    """A line of JSON for the set, and one for every sample."""
    return out / "VPO" / FOLDERS[kind] / "manifest.jsonl"


def _begun(out: Path, kind: str) -> Path:
    return out / "VPO" / FOLDERS[kind] / "building.json"


def finished(out: Path, kind: str) -> bool:
    """Whether a set is there, built to its end or downloaded."""
    return table(out, kind).is_file() and not _begun(out, kind).is_file()


def rows_of(kind: str, sample: DrawnSample, positions: Sequence[float]) -> list[Row]:
    """The lines of a sample, one for each sounding object."""
    rows = []
    for source, position in zip(sample.sources, positions, strict=True):
        category = source.instance.category
        row = {
            "img_Id": str(sample.picture.id),
            "ann_Ids": str(source.instance.annotation),
            "cateId": str(mask_id(category)),
            "cateName": category,
            "vgg_file": source.sound.stem,
            "split": sample.split,
            "audio_pos": f"{position:.6f}",
        }
        rows.append(row | {"multi_instance": "1"} if kind == "msmi" else row)
    return rows


def write_rows(out: Path, kind: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Write the CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(kind), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(table(out, kind), text.getvalue())


def read_rows(out: Path, kind: str) -> list[Row]:
    """The lines of a set's CSV, in the columns of the layout.

    Raises:
        ValueError: a column is missing.
    """
    path = table(out, kind)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if lacking := set(COLUMNS) - set(reader.fieldnames or ()):
            raise ValueError(f"{path} lacks the columns {', '.join(sorted(lacking))}; is it a CSV of VPO?")
        return [{name: row[name] for name in COLUMNS} for row in reader]


def manifest_line(kind: str, sample: DrawnSample, positions: Sequence[float]) -> dict[str, Any]:
    """All that was chosen for a sample."""
    picture, mask = picture_place(kind, sample)
    return {
        "id": sample.id,
        "split": sample.split,
        "image_id": sample.picture.id,
        "image": picture,
        "labels": mask,
        "sources": [
            {
                "class": source.instance.category,
                "annotation": source.instance.annotation,
                "file": source.sound.stem,
                "label": source.sound.label,
                "position": round(position, 6),
            }
            for source, position in zip(sample.sources, positions, strict=True)
        ],
        "silent": [
            {"class": i.category, "annotation": i.annotation, "position": round(i.position, 6)} for i in sample.silent
        ],
    }


def write_manifest(
    out: Path, kind: str, head: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], singles: Sequence[Row]
) -> None:
    """Write the manifest and forget that the set was being built."""
    begun = json.loads(_begun(out, kind).read_text(encoding="utf-8"))
    refers = sorted({int(row["img_Id"]) for row in singles})
    first = {**head, "drawn": begun["drawn"], "samples": len(lines)}
    if kind == "msmi":
        first["of_vpo_ms"] = refers
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (first, *lines))
    write_text(manifest(out, kind), text)
    _begun(out, kind).unlink()


def begin(out: Path, kind: str, head: Mapping[str, Any], samples: Sequence[DrawnSample]) -> None:
    """Note what is being built, where nothing stands against it.

    Raises:
        ValueError: see `check_resumed` and `check_neighbours`.
    """
    drawn = check_resumed(out, kind, head, samples)
    check_neighbours(out, kind, samples)
    write_text(_begun(out, kind), json.dumps({"seed": head["seed"], "drawn": drawn}) + "\n")


def check_resumed(out: Path, kind: str, head: Mapping[str, Any], samples: Sequence[DrawnSample]) -> str:
    """A digest of all that was drawn; refuses a folder in which another draw was begun or finished.

    Raises:
        ValueError: the folder holds the same set of another seed, other inputs or other options.
    """
    lines = [manifest_line(kind, sample, [s.instance.position for s in sample.sources]) for sample in samples]
    drawn = hashlib.sha256(json.dumps([head, lines], sort_keys=True).encode()).hexdigest()
    begun, done = _begun(out, kind), manifest(out, kind)
    before = None
    if begun.is_file():
        before = json.loads(begun.read_text(encoding="utf-8"))
    elif done.is_file():
        before = json.loads(done.read_text(encoding="utf-8").partition("\n")[0])
    elif table(out, kind).is_file():
        raise ValueError(f"{table(out, kind).parent} holds a set without a manifest; choose another folder")
    if before is not None and before["drawn"] != drawn:
        raise ValueError(
            f"{begun.parent} holds a {FOLDERS[kind]} of the seed {before['seed']}, or of other inputs or options; "
            "choose another folder, or delete that one to build it again"
        )
    return drawn


def check_neighbours(out: Path, kind: str, samples: Sequence[DrawnSample]) -> None:
    """Refuse a draw that puts a picture or a sound into another split than a set that is already there.

    Raises:
        ValueError: the first such picture or sound.
    """
    images = {str(sample.picture.id): sample.split for sample in samples}
    sounds = {source.sound.stem: sample.split for sample in samples for source in sample.sources}
    for other in FOLDERS:
        if other == kind or not finished(out, other):
            continue
        for row in read_rows(out, other):
            for what, name, drawn in (("picture", row["img_Id"], images), ("sound", row["vgg_file"], sounds)):
                if name in drawn and drawn[name] != row["split"]:
                    raise ValueError(
                        f"the {what} {name} would be in {drawn[name]}, but {FOLDERS[other]} in {out} has it in "
                        f"{row['split']}; build all sets of a folder with one seed, one index, one file of instances "
                        "and the same fractions"
                    )
