"""`avseg data pack`: write a data set's clips to tar files; an interrupted run leaves no incomplete set."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import BufferedWriter
from pathlib import Path
from tempfile import TemporaryDirectory

from avseg.data.base import ClipDataset, EmptySplitError
from avseg.data.config import DataConfig
from avseg.data.packing import ClipFile
from avseg.datasets import SPLITS, build_dataset
from avseg.io.address import has_scheme, joined, shown
from avseg.io.files import folder_aside
from avseg.io.remote import exists, upload
from avseg.progress import Progress
from avseg.shards.layout import (
    CLIPS,
    END,
    INDEX,
    NAMES,
    SUMS,
    TABLES,
    PackedFile,
    PackIndex,
    ShardFile,
    SideFile,
    head_text,
    key_of,
    member_names,
    tar_member,
)
from avseg.version import __version__

MEGABYTE = 10**6
Sent = Callable[[Path], None]
"""Called with each finished file."""


@dataclass(frozen=True)
class PackSummary:
    """The outcome of packing."""

    name: str
    place: str
    index: PackIndex

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {split}" for split, count in self.index.splits.items())
        shards = self.index.shardlist
        clips, size = sum(shard.nsamples for shard in shards), sum(shard.filesize for shard in shards)
        again = sum(self.index.splits.values()) - clips
        more = f"\n  {again} that repeat are stored once" if again else ""
        return (
            f"{clips} clips of {self.name} ({counts}) packed into {len(shards)} shard{'s' * (len(shards) != 1)} of "
            f"{size / MEGABYTE:.1f} MB in {self.place}{more}"
        )


def pack(config: DataConfig, out: str, *, splits: Sequence[str] = SPLITS, shard_megabytes: int = 512) -> PackSummary:
    """Write the files of a data set's clips to shards, with all tables needed to open it.

    Args:
        config: The data set, and where it lies.
        out: A new folder, or a place in an object store.
        splits: Which of its splits.
        shard_megabytes: Size at which the next shard begins.

    Raises:
        ValueError: a data set that cannot be packed, a place where something is, no clip, or a file that is empty.
        FileNotFoundError: a file is missing.
        OSError: the disk is full, or the place cannot be written.
    """
    if config.shards is not None:
        raise ValueError("the data set is already in shards (--data.shards); give its folder with --data.root DIR")
    if shard_megabytes < 1:
        raise ValueError(f"got shards of {shard_megabytes} MB, wanted 1 or more (--shard-megabytes)")
    sets: dict[str, ClipDataset] = {}
    for split in dict.fromkeys(splits):
        try:
            sets[split] = build_dataset(config, split)
        except EmptySplitError:
            continue
    if not any(map(len, sets.values())):
        raise ValueError(f"there is no clip in {', '.join(splits)} of {config.root}, so there is nothing to pack")
    with _place(out) as (folder, sent):
        index = _Packing(config.name, folder, sent, shard_megabytes * MEGABYTE).run(sets)
    return PackSummary(config.name, shown(out) if has_scheme(out) else out, index)


@contextmanager
def _place(out: str) -> Iterator[tuple[Path, Sent]]:
    """Yield a folder to write to and a callback for each file; the index is written last and makes the shards
    readable.
    """
    if has_scheme(out):
        if exists(joined(out, INDEX)):
            raise ValueError(f"{shown(out)} already holds shards; choose a new place")
        with TemporaryDirectory(prefix="avseg-pack-") as name:
            yield Path(name), lambda path: _move(path, out)
        return
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} already exists and is not empty; choose a new folder")
    with folder_aside(target) as aside:
        yield aside, lambda path: None
        if target.exists():
            target.rmdir()
        aside.replace(target)


def _move(path: Path, place: str) -> None:
    upload(path, joined(place, path.name))
    path.unlink()


class _HashedFile:
    """A file written once, with its size and checksum."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self._digest = path, 0, sha256()
        self._file: BufferedWriter = path.open("wb")

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._digest.update(content)
        self.size += len(content)

    def close(self) -> SideFile:
        self._file.close()
        return SideFile(self.path.name, self.size, self._digest.hexdigest())


@dataclass
class _Packing:
    """The state of packing."""

    name: str
    folder: Path
    sent: Sent
    limit: int
    """Size limit of a shard in bytes."""
    shards: list[ShardFile] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)
    roles: Counter[str] = field(default_factory=Counter)

    def run(self, sets: dict[str, ClipDataset]) -> PackIndex:
        clips = _HashedFile(self.folder / CLIPS)
        with Progress(sum(map(len, sets.values())), f"pack {self.name}", "clip") as progress:
            for split, dataset in sets.items():
                for row in self._split(split, dataset):
                    if row:
                        clips.write(json.dumps(row).encode() + b"\n")
                    progress.advance()
        index = PackIndex(
            name=self.name,
            shardlist=tuple(self.shards),
            clips=self._done(clips),
            tables=self._done(self._tables(sets)),
            splits={split: len(dataset) for split, dataset in sets.items()},
            roles=dict(sorted(self.roles.items())),
            avseg=__version__,
        )
        sums = _HashedFile(self.folder / SUMS)
        files: tuple[ShardFile | SideFile, ...] = (*index.shardlist, index.clips, index.tables)
        for file in files:
            sums.write(f"{file.sha256}  {file.url}\n".encode())
        self._done(sums)
        last = _HashedFile(self.folder / INDEX)
        last.write(index.to_text().encode())
        self._done(last)
        return index

    def _done(self, file: _HashedFile) -> SideFile:
        facts = file.close()
        self.sent(file.path)
        return facts

    def _split(self, split: str, dataset: ClipDataset) -> Iterator[dict[str, object] | None]:
        """Write the clips of a split and return their rows; None for clips written before."""
        shard: _HashedFile | None = None
        samples = 0
        for place in range(len(dataset)):
            files = dataset.clip_files(place)
            key = key_of(files)
            if key in self.keys:
                yield None
                continue
            record = self._record(split, dataset, place, files)
            if shard is not None and shard.size + len(record) > self.limit:
                self._close(shard, samples)
                shard = None
            if shard is None:
                number = sum(one.url.startswith(f"{split}-") for one in self.shards)
                shard, samples = _HashedFile(self.folder / f"{split}-{number:06d}.tar"), 0
            row = {"key": f"{key:016x}", "id": dataset.ids[place], "split": split, "shard": len(self.shards)}
            yield {**row, "offset": shard.size, "size": len(record)}
            shard.write(record)
            self.keys.add(key)
            samples += 1
        if shard is not None:
            self._close(shard, samples)

    def _close(self, shard: _HashedFile, samples: int) -> None:
        shard.write(END)
        facts = self._done(shard)
        self.shards.append(ShardFile(facts.url, samples, facts.filesize, facts.sha256))

    def _record(self, split: str, dataset: ClipDataset, place: int, files: Sequence[ClipFile]) -> bytes:
        """Return all members of a clip."""
        contents = [_content(dataset, place, file) for file in files]
        _check_roles(dataset, place, files, contents)
        name = f"{len(self.keys):09d}"
        packed, members = [], []
        for file, member, content in zip(files, member_names(files), contents, strict=True):
            if content is not None:
                packed.append(PackedFile(member, file.name, len(content), zlib.crc32(content)))
                members.append(tar_member(f"{name}.{member}", content))
        self.roles.update({file.role for file, content in zip(files, contents, strict=True) if content is not None})
        return tar_member(f"{name}.json", head_text(dataset.ids[place], split, packed)) + b"".join(members)

    def _tables(self, sets: dict[str, ClipDataset]) -> _HashedFile:
        """Return the tables needed to open the data set."""
        tables = _HashedFile(self.folder / TABLES)
        whole = {name: dataset for dataset in sets.values() for name in dataset.tables().whole}
        named = {name: dataset for dataset in sets.values() for name in dataset.tables().named}
        for name, dataset in sorted(whole.items()):
            tables.write(tar_member(name, dataset.place_of(name).read_bytes()))
        facts = [(name, dataset.place_of(name).stat()) for name, dataset in sorted(named.items())]
        listed = [(name, found.st_size, found.st_mtime_ns) for name, found in facts]
        tables.write(tar_member(NAMES, json.dumps(listed).encode()) + END)
        return tables


def _content(dataset: ClipDataset, place: int, file: ClipFile) -> bytes | None:
    """Read a file; None if it is missing and optional."""
    try:
        content = dataset.content_of(place, file.name)
    except FileNotFoundError:
        if not file.needed:
            return None
        where = dataset.place_of(file.name)
        raise FileNotFoundError(
            f"{where} of the clip {dataset.ids[place]} is missing, so the data set was not "
            "packed; avseg data check lists all missing files"
        ) from None
    if not content:
        raise ValueError(f"{dataset.place_of(file.name)} has zero bytes, so the data set was not packed; copy it again")
    return content


def _check_roles(dataset: ClipDataset, place: int, files: Sequence[ClipFile], contents: Sequence[bytes | None]) -> None:
    """Check that a clip has all or no files of each kind, and labels of some kind if any clip has labels."""
    missing = {file.role: file for file, content in zip(files, contents, strict=True) if content is None}
    there = {file.role for file, content in zip(files, contents, strict=True) if content is not None}
    half = sorted(missing.keys() & there)
    labels = {file.role for file in files if file.role.startswith("label")}
    if not half and labels and not labels & there:
        half = sorted(labels)
    if half:
        raise FileNotFoundError(
            f"{dataset.place_of(missing[half[0]].name)} of the clip {dataset.ids[place]} is missing, so the "
            "data set was not packed; avseg data check lists all missing files"
        )
