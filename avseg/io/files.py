"""Atomic writing: files that are complete or absent."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, which replaces `path` only if the block succeeds.

    The temporary name keeps the suffix of `path`, so that writers which look at it work. Parents are made.
    On any error, including an interrupt, the partial file is removed and `path` is unchanged; `clear_stale` removes
    files of killed processes. Its mode becomes that of any new file, also where the writer makes private ones, as
    safetensors does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{_mark()}.part{path.suffix}")
    try:
        mode = _mode_of_new_file(aside)
        yield aside
        made = aside.lstat().st_mode
        if stat.S_ISREG(made) and stat.S_IMODE(made) != mode:
            aside.chmod(mode)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _mode_of_new_file(path: Path) -> int:
    """Permissions of a file that is made at `path`: the umask cannot be read without setting it for all threads."""
    path.touch(exist_ok=False)
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()  # a writer may want to make a link here
    return mode


@contextmanager
def write_folder_aside(path: Path) -> Iterator[Path]:
    """Like `write_aside`, for a folder."""
    with folder_aside(path) as aside:
        yield aside
        if path.exists():
            shutil.rmtree(path)
        aside.replace(path)


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`, which is removed with its content after the block."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{_mark()}.part")
    aside.mkdir()  # not tempfile's, which makes private ones
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def cache_folder(name: str) -> Path:
    """Return the folder for caches: below `AVSEG_CACHE`, or `avseg` in the user's cache folder."""
    if given := os.environ.get("AVSEG_CACHE"):
        return Path(given) / name
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(base or Path.home() / ".cache") / "avseg" / name


def clear_stale(folder: Path, *, below: bool = False) -> None:
    """Remove partial files of killed processes of this machine from `folder`.

    Args:
        folder: Where files and folders were written aside; it may be missing.
        below: Look into the folders below it as well.
    """
    for path in list(Path(folder).rglob(".*.part*") if below else Path(folder).glob(".*.part*")):
        found = _STALE.search(path.name)
        if found is None or found["host"] != _host() or _is_alive(int(found["process"])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _mark() -> str:
    """Tells what this process writes aside from what others write, and its own pieces from each other."""
    return f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"


_STALE = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.part(\.[^.]*)?$")


@lru_cache(maxsize=1)
def _host() -> str:
    """Eight digits for the machine: process numbers of another one on a shared disk mean nothing here."""
    return sha256(platform.node().encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return True  # os.kill would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with suppress(OSError):  # one that has ended and that nobody has asked for keeps its number
        return Path(f"/proc/{process}/stat").read_text(encoding="latin1").rpartition(")")[2].split()[0] not in "ZX"
    return True


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file aside, then put it in place."""
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def remove(path: Path) -> None:
    """Remove a file or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_visible(path: Path, folder: Path) -> bool:
    """Whether a file found in `folder` belongs to its content: neither it nor a folder above it is hidden.

    macOS keeps its notes on NAME.mp4 beside it on foreign discs, as `._NAME.mp4`.
    """
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def inside(root: Path, *parts: str) -> Path:
    """Return `root / parts`, refusing a name that would leave `root`.

    Raises:
        ValueError: an absolute name, a drive, or `..`.
    """
    path = Path(root).joinpath(*parts)
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise ValueError(
            f"the name {'/'.join(parts)!r} leads out of {root}; names must stay inside the data set's folder"
        )
    return path
