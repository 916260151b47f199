"""The place for results of a batch: a local folder, a network disk, or an address."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from avseg.batch.videos import BatchVideo
from avseg.io.address import is_url, local_path, shown
from avseg.io.files import clear_stale, folder_aside, remove, write_aside
from avseg.io.remote import filesystem, reached

VIDEOS, MANIFEST = "videos", "manifest"
RESULT = "result.json"
UNFINISHED = ".unfinished"
_AT_ONCE = 200
"""Manifest lines to buffer for an address, where a file cannot be appended to."""


class Lines(Protocol):
    """A file to which lines are added."""

    def add(self, line: str) -> None:
        """Add a line."""

    def close(self) -> None:
        """Write the remaining lines."""


class Results(Protocol):
    """The place for results of a batch. Names are relative to it, with forward slashes."""

    shown: str
    """Its name in messages."""

    def read(self, name: str) -> bytes | None:
        """Read a file; None if it is missing."""

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read files by name; missing files are left out."""

    def open(self, name: str) -> BinaryIO | None:
        """Open a file to read parts of it; None if it is missing."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists; returns whether it was written."""

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Yield a local path to write; the file is moved into place if the block succeeds."""

    def lines(self, name: str) -> Lines:
        """Start a new file below `MANIFEST`."""

    def all_lines(self) -> Iterator[str]:
        """Read the lines of all files below `MANIFEST`."""

    def sizes(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return sizes in bytes by file name and video id; videos without the file are left out."""

    def has(self, key: str) -> bool:
        """Whether a video has its result."""

    @contextmanager
    def folder(self, video: BatchVideo) -> Iterator[Path]:
        """Yield a local folder for the files of a video; it is removed afterwards, so call `keep` inside the block."""

    def keep(self, video: BatchVideo, made: Path, *, replacing: bool) -> bool:
        """Move the result of a video into place; False if another process was faster."""

    def tidy(self) -> None:
        """Remove partial files of killed processes of this machine."""


def open_results(out: str) -> Results:
    """Return the place that `out` names, without creating anything.

    Raises:
        ImportError, ValueError, OSError: an address that cannot be opened.
    """
    return RemoteResults(out) if is_url(out) else LocalResults(Path(local_path(out)))


def name_of(key: str, name: str = "") -> str:
    """Return the name of a video's folder, or of a file in it."""
    return f"{VIDEOS}/{key}/{name}" if name else f"{VIDEOS}/{key}"


class LocalResults:
    """Results in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.shown = root, str(root)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        contents = {name: self.read(name) for name in names}
        return {name: content for name, content in contents.items() if content is not None}

    def open(self, name: str) -> BinaryIO | None:
        path = self.root / name
        return path.open("rb") if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        with write_aside(self.root / name) as aside:
            aside.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        path = self.root / name
        with folder_aside(path) as aside:
            (aside / name).write_bytes(content)
            try:
                os.link(aside / name, path)  # unlike a rename it never replaces what another run has put there
            except FileExistsError:
                return False
            except OSError:  # a disk without links
                if path.exists():
                    return False
                (aside / name).replace(path)
        return True

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        with write_aside(self.root / name) as aside:
            yield aside

    def lines(self, name: str) -> Lines:
        return _LocalLines(self.root / MANIFEST / name)

    def all_lines(self) -> Iterator[str]:
        for path in sorted((self.root / MANIFEST).glob("*.jsonl")):
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from file

    def sizes(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        for key in ids:
            for name, of in found.items():
                with suppress(OSError):
                    of[key] = (self.root / name_of(key, name)).stat().st_size
        return found

    def has(self, key: str) -> bool:
        return (self.root / name_of(key, RESULT)).is_file()

    @contextmanager
    def folder(self, video: BatchVideo) -> Iterator[Path]:
        with folder_aside(self.root / UNFINISHED / sha256(video.id.encode()).hexdigest()[:12]) as aside:
            yield aside

    def keep(self, video: BatchVideo, made: Path, *, replacing: bool) -> bool:
        place = self.root / name_of(video.id)
        place.parent.mkdir(parents=True, exist_ok=True)
        if replacing:
            remove(place / RESULT)
        try:
            made.rename(place)
            return True
        except OSError:
            if (place / RESULT).is_file():
                return False  # of another process, with the same bytes
            if not place.is_dir():
                raise
        for entry in sorted(made.iterdir(), key=lambda one: one.name == RESULT):
            remove(place / entry.name)
            entry.rename(place / entry.name)
        return True

    def tidy(self) -> None:
        clear_stale(self.root)
        for name in (UNFINISHED, MANIFEST, "masks"):
            clear_stale(self.root / name)
        with suppress(OSError):
            (self.root / UNFINISHED).rmdir()


class _LocalLines:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("x", encoding="utf-8", newline="\n")

    def add(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class RemoteResults:
    """Results at an address that fsspec opens. Files are written atomically; `result.json` of a video comes last."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._files, path = filesystem(self._url)
        self._root = path.rstrip("/")
        self.shown = shown(self._url)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def read(self, name: str) -> bytes | None:
        with reached(f"{self._url}/{name}"):
            try:
                content: bytes = self._files.cat_file(self._at(name))
            except FileNotFoundError:
                return None
            return content

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        with reached(self._url):
            paths = {self._at(name): name for name in names}
            contents = self._files.cat(list(paths), on_error="omit") if paths else {}
        return {paths[path]: content for path, content in contents.items()}

    def open(self, name: str) -> BinaryIO | None:
        with reached(f"{self._url}/{name}"):
            self._files.invalidate_cache()
            try:
                file: BinaryIO = self._files.open(self._at(name), "rb", cache_type="readahead", block_size=2**18)
            except FileNotFoundError:
                return None
        return file

    def write(self, name: str, content: bytes) -> None:
        with reached(f"{self._url}/{name}"):
            self._files.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        with reached(f"{self._url}/{name}"):
            try:
                self._files.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
            except (TypeError, NotImplementedError):  # an opener that cannot say "only if there is none"
                if self._there(name):
                    return False
                self._files.pipe_file(self._at(name), content)
            except OSError as error:
                # Servers such as Ceph's do not name the condition that failed, and s3fs then gives a general error.
                if error.errno != errno.EINVAL or not self._there(name):
                    raise
                return False
        return True

    def _there(self, name: str) -> bool:
        self._files.invalidate_cache()
        return bool(self._files.exists(self._at(name)))

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory(prefix="avseg-") as folder:
            path = Path(folder) / Path(name).name
            yield path
            with reached(f"{self._url}/{name}"):
                self._files.put_file(str(path), self._at(name))

    def lines(self, name: str) -> Lines:
        return _RemoteLines(self, f"{MANIFEST}/{Path(name).stem}")

    def all_lines(self) -> Iterator[str]:
        with reached(f"{self._url}/{MANIFEST}"):
            self._files.invalidate_cache()
            try:
                names = [name for name in self._files.find(self._at(MANIFEST)) if name.endswith(".jsonl")]
            except FileNotFoundError:
                return
            contents = self._files.cat(names) if names else {}
        for name in sorted(contents):
            yield from contents[name].decode("utf-8", "replace").splitlines()

    def sizes(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, int]]:
        wanted, found = set(ids), dict[str, dict[str, int]]((name, {}) for name in names)
        with reached(f"{self._url}/{VIDEOS}"):
            self._files.invalidate_cache()
            try:
                listed = self._files.find(self._at(VIDEOS), detail=True)
            except FileNotFoundError:
                return found
        start = len(self._at(VIDEOS)) + 1
        for path, entry in listed.items():
            key, _, name = path[start:].rpartition("/")
            if name in found and key in wanted:
                found[name][key] = int(entry["size"])
        return found

    def has(self, key: str) -> bool:
        with reached(f"{self._url}/{VIDEOS}"):
            return self._there(name_of(key, RESULT))

    @contextmanager
    def folder(self, video: BatchVideo) -> Iterator[Path]:
        with TemporaryDirectory(prefix="avseg-") as folder:
            yield Path(folder)

    def keep(self, video: BatchVideo, made: Path, *, replacing: bool) -> bool:
        place = self._at(name_of(video.id))
        files = [path for path in sorted(made.rglob("*")) if path.is_file() and path != made / RESULT]
        with reached(f"{self._url}/{VIDEOS}"):
            if replacing:
                with suppress(FileNotFoundError):
                    self._files.rm_file(f"{place}/{RESULT}")
            if files:
                self._files.put(_names(files), [f"{place}/{path.relative_to(made).as_posix()}" for path in files])
            self._files.put_file(str(made / RESULT), f"{place}/{RESULT}")
        return True

    def tidy(self) -> None:
        return


def _names(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


class _RemoteLines:
    def __init__(self, results: RemoteResults, stem: str) -> None:
        self._results, self._stem = results, stem
        self._kept: list[str] = []
        self._number = 0

    def add(self, line: str) -> None:
        self._kept.append(line)
        if len(self._kept) >= _AT_ONCE:
            self.close()

    def close(self) -> None:
        if self._kept:
            self._results.write(f"{self._stem}-{self._number:05d}.jsonl", ("\n".join(self._kept) + "\n").encode())
            self._kept, self._number = [], self._number + 1
