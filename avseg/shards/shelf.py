"""Access to packed shards: index, tables, and records of clips, local or remote."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avseg.io import address, remote
from avseg.io.files import cache_folder, folder_aside, inside
from avseg.io.packed import Read
from avseg.shards.layout import BLOCK, CLIPS, INDEX, NAMES, TABLES, PackedFile, PackIndex, SideFile, padded, read_head

WHOLE = {False: 4 * 2**20, True: 32 * 2**20}
"""Largest record in bytes that is read at once, for local (False) and remote shards (True)."""
BEGIN = 2**16
"""Bytes to read first of a longer record."""
AGAIN = "copy it again, or pack the data set again"
Part = Callable[[int, int], bytes | memoryview]
"""Reads the bytes of a record from one offset up to another."""


class Shelf:
    """A local or remote folder of shards."""

    def __init__(self, place: str) -> None:
        """
        Raises:
            FileNotFoundError: no such folder, no index in it, or no shard that the index names.
            ValueError: an index that is damaged or does not fit the shards.
            OSError: the place cannot be reached.
        """
        self.place, self.remote = place, address.has_scheme(place)
        if not self.remote and not Path(place).is_dir():
            raise FileNotFoundError(f"the folder {place} of shards does not exist (--data.shards)")
        try:
            content = self._file(INDEX)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.shown(INDEX)} is missing; --data.shards must be a folder that avseg data pack has finished"
            ) from None
        self.index = PackIndex.of_text(content, self.shown(INDEX))
        self._check_shards()
        self.keys, self.rows = self._read_clips()
        self._checked = [0] * len(self.rows) if not self.remote else []
        """For each local clip, a bit per file whose checksum this process has verified."""

    def shown(self, name: str) -> str:
        """Return the name of a file for messages."""
        return address.joined(address.shown(self.place), name) if self.remote else str(Path(self.place, name))

    def tables(self) -> Path:
        """Return a local folder with the unpacked tables of the data set.

        Raises:
            FileNotFoundError, ValueError, OSError: the tables are missing, damaged, or cannot be unpacked.
        """
        wanted = self.index.tables
        folder = cache_folder("shards") / wanted.sha256[:24]
        if not folder.is_dir():
            content = self._side(wanted, TABLES)
            with folder_aside(folder) as aside:
                try:
                    _unpack(content, aside)
                except (tarfile.TarError, ValueError, TypeError) as error:
                    raise ValueError(f"{self.shown(TABLES)} is damaged ({error}); {AGAIN}") from error
                if not folder.is_dir():  # another process may have been quicker
                    aside.replace(folder)
        return folder

    def find(self, keys: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows of clips by their keys, -1 for unknown keys."""
        wanted = np.array(keys, np.uint64)
        found = np.searchsorted(self.keys, wanted)
        found[found == len(self.keys)] = 0
        return np.where(self.keys[found] == wanted, found, -1) if len(self.keys) else np.full(len(wanted), -1)

    def files(self, row: int) -> dict[str, Read]:
        """Return readers of a clip's files by their names below the root of the data set.

        Raises:
            ValueError: the shard is damaged.
            FileNotFoundError, OSError: it is gone, or cannot be reached.
        """
        shard, begin, size = (int(value) for value in self.rows[row])
        part: Part = partial(self._part, shard, begin)
        if size <= WHOLE[self.remote]:
            block = memoryview(part(0, size))
            part = partial(_slice, block)
        try:
            first = part(0, min(size, BEGIN))
            head = read_head(memoryview(first))
            if head is None:
                info = tarfile.TarInfo.frombuf(bytes(first[:BLOCK]), "utf-8", "strict")
                head = read_head(memoryview(part(0, min(size, BLOCK + padded(info.size)))))
            if head is None:
                raise ValueError("its record is cut off")
        except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(shard, begin, error) from error
        found: dict[str, Read] = {}
        at = head[1]
        for number, file in enumerate(head[0]):
            found[file.name] = partial(self._content, row, number, part, at + BLOCK, file)
            at += BLOCK + padded(file.size)
        if at != size:
            raise self._damaged(shard, begin, f"the record has {at} bytes, but the index says {size}")
        return found

    def shard_of(self, row: int) -> str:
        """Return the name of a clip's shard for messages."""
        return self.shown(self.index.shardlist[int(self.rows[row][0])].url)

    def _content(self, row: int, number: int, part: Part, at: int, file: PackedFile) -> bytes:
        """Read a file and verify its checksum; for local shards only at its first read in this process."""
        content = part(at, at + file.size)
        if self.remote or not self._checked[row] >> number & 1:
            if len(content) != file.size or zlib.crc32(content) != file.crc32:
                raise self._damaged(int(self.rows[row][0]), int(self.rows[row][1]), f"{file.name} has a wrong checksum")
            if not self.remote:
                self._checked[row] |= 1 << number
        return bytes(content)

    def _damaged(self, shard: int, begin: int, reason: object) -> ValueError:
        name = self.shown(self.index.shardlist[shard].url)
        return ValueError(f"the shard {name} is damaged at byte {begin} ({reason}); {AGAIN}")

    def _part(self, shard: int, offset: int, begin: int, end: int) -> bytes:
        name = self.index.shardlist[shard].url
        try:
            content = self._file(name, offset + begin, offset + end)
        except FileNotFoundError:
            raise FileNotFoundError(f"the shard {self.shown(name)} is missing; {AGAIN}") from None
        if len(content) != end - begin:
            raise self._damaged(shard, offset, f"{end - begin - len(content)} bytes are missing at its end")
        return content

    def _file(self, name: str, begin: int | None = None, end: int | None = None) -> bytes:
        if self.remote:
            return remote.read(address.joined(self.place, name), begin, end)
        with Path(self.place, name).open("rb", buffering=0) as file:
            if begin is None or end is None:
                return file.read()
            file.seek(begin)
            return file.read(end - begin)

    def _side(self, wanted: SideFile, name: str) -> bytes:
        """Read a file next to the shards and check it against the index."""
        try:
            content = self._file(name)
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.shown(name)} is missing; {AGAIN}") from None
        if sha256(content).hexdigest() != wanted.sha256:
            raise ValueError(
                f"{self.shown(name)} does not fit {INDEX} ({len(content)} bytes, wanted {wanted.filesize}, or another "
                f"checksum); {AGAIN}"
            )
        return content

    def _check_shards(self) -> None:
        """Check the sizes of all local shards; remote ones are checked when read."""
        for shard in self.index.shardlist if not self.remote else ():
            path = Path(self.place, shard.url)
            if not path.is_file():
                raise FileNotFoundError(f"the shard {path} is missing; {AGAIN}")
            if path.stat().st_size != shard.filesize:
                raise ValueError(
                    f"the shard {path} has {path.stat().st_size} bytes, but the index says {shard.filesize}; {AGAIN}"
                )

    def _read_clips(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return (N,) sorted keys, and (N, 3) shard, offset and size of each."""
        lines = self._side(self.index.clips, CLIPS).splitlines()
        try:
            rows = [json.loads(line) for line in lines]
            keys = np.array([int(row["key"], 16) for row in rows], np.uint64)
            places = np.array([(row["shard"], row["offset"], row["size"]) for row in rows], np.int64).reshape(-1, 3)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.shown(CLIPS)} is damaged ({error!r}); {AGAIN}") from error
        sizes = np.array([shard.filesize for shard in self.index.shardlist], np.int64)
        inside_shards = len(sizes) > 0 and (places >= 0).all() and (places[:, 0] < len(sizes)).all()
        if len(rows) and not (inside_shards and (places[:, 1] + places[:, 2] <= sizes[places[:, 0]]).all()):
            raise ValueError(f"{self.shown(CLIPS)} has positions outside of the shards; {AGAIN}")
        order = np.argsort(keys, kind="stable")
        return keys[order], places[order]


def _slice(block: memoryview, begin: int, end: int) -> memoryview:
    return block[begin:end]


def _unpack(content: bytes, folder: Path) -> None:
    """Write the tables, and for each file without stored content an empty file of its size and time."""
    listed = None
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            held = tar.extractfile(member)
            if held is None:
                raise ValueError(f"{member.name!r} is not a file")
            if member.name == NAMES:
                listed = json.loads(held.read())
                continue
            path = inside(folder, member.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(held.read())
    if listed is None:
        raise ValueError(f"it has no {NAMES}")
    for name, size, time in listed:
        path = inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
        os.utime(path, ns=(time, time))
