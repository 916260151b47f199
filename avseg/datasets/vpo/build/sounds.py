"""Labelled sounds: the index, the map of labels to classes, and a pool for each class and split."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path, PurePosixPath

from avseg.config import did_you_mean
from avseg.data.tables import csv_rows
from avseg.datasets.vpo.build.splits import SPLITS, assign
from avseg.datasets.vpo.classes import vpo_classes

_HEADERS = {"clip", "label", "youtube_id", "id", "start", "start_seconds", "split", "file", "vgg_file"}
ClassMap = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class LabelledClip:
    """One labelled clip."""

    stem: str
    """Name of its file in the set, without `.wav`."""
    path: Path
    label: str
    split: str | None
    """Split in the index, later that of the set."""


def read_class_map(path: Path | None, changes: Sequence[str] = ()) -> ClassMap:
    """The sound labels of each VPO class.

    Args:
        path: JSON of class and list of labels, also below `map`; None: our suggestion.
        changes: `class=label;label`, over what the file says; an empty right side leaves a class out.

    Raises:
        FileNotFoundError, ValueError: no such file, another form, or a class that VPO does not have.
    """
    if path is not None and not Path(path).is_file():
        raise FileNotFoundError(f"the class map {path} is missing")
    source = Path(path) if path else files("avseg.datasets.vpo.build").joinpath("class_map.json")
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the class map {path} is not JSON ({error})") from error
    table = content.get("map", content) if isinstance(content, dict) else None
    if not isinstance(table, dict) or not all(_is_labels(labels) for labels in table.values()):
        raise ValueError(f"the class map {path} must be an object of VPO classes and lists of sound labels")
    for change in changes:
        name, equals, labels = change.partition("=")
        if not equals:
            raise ValueError(f"the change {change!r} of the class map has no `=`; write class=label;label")
        table[name.strip()] = [label.strip() for label in labels.split(";") if label.strip()]
    known = vpo_classes()[1:]
    for name in table:
        if name not in known:
            raise ValueError(f"the class map names {name!r}, which is not a class of VPO; {did_you_mean(name, known)}")
    return {name: tuple(table[name]) for name in known if table.get(name)}


def _is_labels(labels: object) -> bool:
    return isinstance(labels, list) and all(isinstance(label, str) for label in labels)


def read_sounds(index: Path, folder: Path | None = None) -> tuple[list[LabelledClip], list[str]]:
    """The clips of an index whose files are there, and the names of those that are missing.

    Args:
        index: CSV of (clip, label[, split]) or of (YouTube id, start, label[, split]), with or without a header.
        folder: Where the WAV files lie; None: `audios` beside the index, or the index's own folder.

    Raises:
        FileNotFoundError: no index, or no folder.
        ValueError: a line of another form, an unknown split, or two lines with one name and different labels.
    """
    index = Path(index)
    if not index.is_file():
        raise FileNotFoundError(f"the index of sounds {index} is missing")
    beside = index.parent / "audios"
    folder = Path(folder) if folder else (beside if beside.is_dir() else index.parent)
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of sounds {folder} is missing; give the folder of the WAV files")
    sounds: dict[str, LabelledClip] = {}
    missing = []
    for sound in _read_index(index, folder):
        before = sounds.get(sound.stem)
        if before and before != sound:
            raise ValueError(
                f"{index} lists {sound.stem!r} as {before.label!r} ({before.path}) and as {sound.label!r} "
                f"({sound.path}); a name needs one label, split and file"
            )
        if sound.path.is_file():
            sounds[sound.stem] = sound
        else:
            missing.append(sound.stem)
    return list(sounds.values()), missing


def _read_index(index: Path, folder: Path) -> list[LabelledClip]:
    rows = [[cell.strip() for cell in row] for row in csv_rows(index)]
    if rows and rows[0][0].lower() in _HEADERS:
        del rows[0]
    return [_sound(index, folder, number, row) for number, row in enumerate(rows, start=1)]


def _sound(index: Path, folder: Path, number: int, row: list[str]) -> LabelledClip:
    timed = len(row) >= 3 and row[1].isdigit()
    fields = row[2:] if timed else row[1:]
    split = fields[1] if len(fields) == 2 else None
    if len(fields) not in (1, 2) or not fields[0] or (split and split not in SPLITS):
        raise ValueError(
            f"{index} row {number} is {','.join(row)!r}; wanted clip,label or YouTube id,start,label, "
            f"each with or without a split ({', '.join(SPLITS)})"
        )
    name = f"{row[0]}_{int(row[1]):06d}" if timed else row[0].removesuffix(".wav")
    stem = PurePosixPath(name).name
    if not stem or "\\" in stem or ".." in PurePosixPath(name).parts or name.startswith("/"):
        raise ValueError(f"{index} row {number} names the clip {row[0]!r}; names must lie inside the folder of sounds")
    return LabelledClip(stem, folder / f"{name}.wav", fields[0], split or None)


@dataclass(frozen=True)
class Pools:
    """Sounds by class and split; no clip is in two splits."""

    sounds: Mapping[tuple[str, str], tuple[LabelledClip, ...]]
    counts: Mapping[str, int]
    """Clips of every class of the map, 0 included."""
    unused: int
    """Clips whose label no class asks for."""

    def of(self, category: str, split: str) -> tuple[LabelledClip, ...]:
        return self.sounds.get((category, split), ())

    @property
    def classes(self) -> set[str]:
        """Classes with at least one clip."""
        return {name for name, count in self.counts.items() if count}


def make_pools(
    sounds: Sequence[LabelledClip], class_map: ClassMap, fractions: Sequence[float], seed: int, keep_splits: bool = True
) -> Pools:
    """Deal the clips out to the splits, each class by itself; a clip that two classes share is dealt once."""
    heard_as = defaultdict(list)
    for name, labels in class_map.items():
        for label in labels:
            heard_as[label].append(name)
    used = [sound for sound in sounds if sound.label in heard_as]
    if not keep_splits:
        used = [replace(sound, split=None) for sound in used]
    splits = _deal(used, heard_as, fractions, seed)
    pools = defaultdict(list)
    for sound in sorted(used, key=lambda sound: sound.stem):
        for name in heard_as[sound.label]:
            pools[name, splits[sound.stem]].append(replace(sound, split=splits[sound.stem]))
    counts = Counter(name for sound in used for name in heard_as[sound.label])
    return Pools(
        {key: tuple(pool) for key, pool in pools.items()},
        {name: counts[name] for name in class_map},
        len(sounds) - len(used),
    )


def _deal(
    sounds: Sequence[LabelledClip], heard_as: Mapping[str, list[str]], fractions: Sequence[float], seed: int
) -> dict[str, str]:
    """The split of every clip. An index of train and test alone, as VGGSound's, gives val a part of its train."""
    named = {sound.split for sound in sounds}
    strata: dict[str, dict[tuple[str, ...], list[str]]] = {"": defaultdict(list), "train": defaultdict(list)}
    splits = {}
    for sound in sounds:
        if sound.split is None or (sound.split == "train" and "val" not in named):
            strata[sound.split or ""][tuple(heard_as[sound.label])].append(sound.stem)
        else:
            splits[sound.stem] = sound.split
    train, val, _ = fractions
    shared = (train / (train + val), val / (train + val), 0.0) if train + val else (1.0, 0.0, 0.0)
    free, half = strata[""].values(), strata["train"].values()
    return splits | assign(free, fractions, seed, "sound") | assign(half, shared, seed, "sound")
