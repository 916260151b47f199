"""The layout of a folder of shards (docs/how-to/shards.md): names, the index, and the records of clips in tar files."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any

from avseg.config import from_dict
from avseg.data.packing import ClipFile

FORMAT, VERSION = "avseg.shards", 1
INDEX, CLIPS, TABLES, SUMS = "index.json", "clips.jsonl", "tables.tar", "SHA256SUMS"
NAMES = ".names.json"
"""Member of the tables with name, size and time of files whose content is not stored."""
BLOCK = 512
"""Block size of a tar file in bytes."""
END = bytes(2 * BLOCK)


@dataclass(frozen=True)
class ShardFile:
    """A tar file."""

    url: str
    nsamples: int
    filesize: int
    sha256: str


@dataclass(frozen=True)
class SideFile:
    """A file next to the shards."""

    url: str
    filesize: int
    sha256: str


@dataclass(frozen=True)
class PackIndex:
    """The content of `index.json`."""

    name: str
    """The data set."""
    shardlist: tuple[ShardFile, ...]
    clips: SideFile
    tables: SideFile
    splits: dict[str, int] = field(default_factory=dict)
    """Number of clips in each split."""
    roles: dict[str, int] = field(default_factory=dict)
    """Number of clips with a file of each role."""
    avseg: str = ""
    """The version that wrote it."""

    def to_text(self) -> str:
        """As JSON."""
        head = {"format": FORMAT, "format_version": VERSION}
        return json.dumps({**head, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def of_text(cls, content: bytes, place: str) -> PackIndex:
        """
        Raises:
            ValueError: no such index, or one of a newer format.
        """
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{place} is not complete JSON ({error}); copy it again, or pack the data set again"
            ) from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError(f"{place} is not an index of shards; use a folder written by avseg data pack")
        if found.get("format_version") != VERSION:
            raise ValueError(
                f"{place} is of format {found.get('format_version')}, this version of avseg reads {VERSION}; "
                "pack the data set again, or use the version that wrote it"
            )
        own = {name: value for name, value in found.items() if name in cls.__dataclass_fields__}
        try:
            return from_dict(cls, own)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{place} is damaged ({error}); copy it again, or pack the data set again") from error


@dataclass(frozen=True)
class PackedFile:
    """A file of a clip, as described by the first member of its record."""

    member: str
    """Its name in the tar file, behind that of the clip."""
    name: str
    """Its name below the root of the data set."""
    size: int
    crc32: int


def key_of(files: Sequence[ClipFile]) -> int:
    """Return 64 bits that identify a clip by its files."""
    names = "\n".join(file.name for file in files)
    return int.from_bytes(blake2b(names.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def member_names(files: Sequence[ClipFile]) -> list[str]:
    """Return the names of files in a record: role, number, suffix."""
    seen: dict[str, int] = {}
    names = []
    for file in files:
        number = seen[file.role] = seen.get(file.role, -1) + 1
        names.append(f"{file.role}.{number:04d}{PurePosixPath(file.name).suffix}")
    return names


def padded(size: int) -> int:
    """Return the padded size of a member of `size` bytes, without its header."""
    return -(-size // BLOCK) * BLOCK


def tar_member(name: str, content: bytes) -> bytes:
    """Return a member of a tar file: header, content, padding; the bytes are reproducible."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    header = info.tobuf(tarfile.USTAR_FORMAT)
    return header + content + bytes(padded(len(content)) - len(content))


def head_text(clip: str, split: str, files: Sequence[PackedFile]) -> bytes:
    """Return the first member of a record."""
    return json.dumps({"id": clip, "split": split, "files": [asdict(file) for file in files]}).encode()


def read_head(block: bytes | memoryview) -> tuple[list[PackedFile], int] | None:
    """Return the files of a record and the offset of the first header; None if `block` ends earlier.

    Raises:
        ValueError, KeyError, TypeError, tarfile.TarError: no record begins here.
    """
    info = tarfile.TarInfo.frombuf(bytes(block[:BLOCK]), "utf-8", "strict")
    end = BLOCK + info.size
    if len(block) < end:
        return None
    head: dict[str, Any] = json.loads(bytes(block[BLOCK:end]))
    return [PackedFile(**file) for file in head["files"]], BLOCK + padded(info.size)
