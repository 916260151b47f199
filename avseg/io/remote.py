"""Remote files and folders, opened with fsspec: `s3://bucket/folder`, `https://host/folder`, `memory://name`.

Errors are one sentence. Credentials come from fsspec's back ends (environment, configuration files). Messages contain
no credentials, passwords or signatures of URLs.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from avseg.io.address import clean, shown
from avseg.io.files import write_aside
from avseg.lazy import imported

T = TypeVar("T")

TRIES = 3
"""How often a read is tried where the connection fails."""
WAIT = 0.5
"""s before the second try; twice as long before the next."""
_FOLDERS = {"file", "local", "sftp", "ssh", "smb", "hdfs", "ftp"}
"""Protocols of file systems with folders, which show files while they are written."""
_S3 = {"config_kwargs": {"retries": {"max_attempts": 3, "mode": "standard"}, "read_timeout": 60}}
"""Gives an address that does not answer up within a minute."""
_DENIED = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError")
"""Errors of back ends that find no key."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_READS = ("read", "reached")


class RemoteError(OSError):
    """A remote place that cannot be read or written; the message is one sentence."""


def read(place: str, begin: int | None = None, end: int | None = None) -> bytes:
    """The bytes of a file, or those from `begin` to before `end`.

    Raises:
        FileNotFoundError: no such file.
        PermissionError, OSError: the place denies it or cannot be reached.
        RemoteError: the place gives other bytes than asked for.
    """

    def work() -> bytes:
        system, path = filesystem(place)
        content: bytes = system.cat_file(path, start=begin, end=end)
        return content

    content = _tried(place, "read", work)
    if begin is not None and end is not None and len(content) > end - begin:
        raise RemoteError(
            f"{shown(place)} sends whole files instead of parts; use a server that supports Range requests"
        )
    return content


def size(place: str) -> int:
    """Bytes of a file.

    Raises:
        FileNotFoundError, PermissionError, RemoteError: as `read`.
    """

    def work() -> int:
        system, path = filesystem(place)
        found = system.info(path)["size"]
        if found is None:
            raise RemoteError(f"{shown(place)} has no known size; use a server that sends Content-Length")
        return int(found)

    return _tried(place, "read", work)


def exists(place: str) -> bool:
    """Whether a file or folder is there.

    Raises:
        PermissionError, RemoteError: the place denies it or cannot be reached.
    """

    def work() -> bool:
        system, path = filesystem(place)
        try:
            system.info(path)
        except FileNotFoundError:
            return False
        return True

    return _tried(place, "read", work)


def listed(place: str) -> list[str]:
    """The names of the files in a folder, in order; empty where there is no such folder.

    Raises:
        PermissionError, RemoteError: the place denies it or cannot be reached.
    """

    def work() -> list[str]:
        system, path = filesystem(place)
        system.invalidate_cache()
        try:
            found = system.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return sorted(str(one["name"]).rstrip("/").rpartition("/")[2] for one in found if one["type"] == "file")

    return _tried(place, "listed", work)


def write(place: str, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        PermissionError, RemoteError: the place denies it or cannot be reached.
    """
    with reached(place, "written"), _aside(place) as (system, path):
        system.pipe_file(path, content)


def upload(path: Path, place: str) -> None:
    """Copy a file of this machine to a place, whole or not at all.

    Raises:
        PermissionError, RemoteError: the place denies it or cannot be reached.
    """
    with reached(place, "written"), _aside(place) as (system, target):
        system.put_file(str(path), target)


def download(place: str, path: Path) -> None:
    """Copy a file from a place to this machine, whole or not at all.

    Raises:
        FileNotFoundError, PermissionError, RemoteError: as `read`.
    """

    def work() -> None:
        system, source = filesystem(place)
        with write_aside(path) as aside:
            system.get_file(source, str(aside))

    _tried(place, "read", work)


def remove(place: str) -> None:
    """Remove a file; nothing where there is none.

    Raises:
        PermissionError, RemoteError: the place denies it or cannot be reached.
    """
    with reached(place, "removed"):
        system, path = filesystem(place)
        if system.exists(path):
            system.rm_file(path)


def filesystem(place: str) -> tuple[Any, str]:
    """The fsspec file system of a place, and the path there. A forked process gets file systems of its own.

    Raises:
        ImportError: the package for such places is not installed.
        RemoteError: fsspec knows no such places.
    """
    options = _S3 if place.startswith(("s3://", "s3a://")) else {}
    try:
        system, path = imported("fsspec.core:url_to_fs")(place, **options)
    except ImportError as error:
        extra = 'pip install "avseg[remote]"'
        raise ImportError(f"{shown(place)} cannot be opened: {clean(str(error))}; for s3:// {extra}") from None
    except ValueError as error:
        raise RemoteError(f"{shown(place)} is no address that can be opened ({clean(str(error))})") from None
    return system, str(path)


@contextmanager
def _aside(place: str) -> Iterator[tuple[Any, str]]:
    """The file system of a place, and where to write. Object stores show an object once all of it is there; in others
    it is written beside its place first."""
    system, path = filesystem(place)
    if not _FOLDERS & set([system.protocol] if isinstance(system.protocol, str) else system.protocol):
        yield system, path
        return
    folder, _, name = path.rpartition("/")
    system.makedirs(folder, exist_ok=True)
    yield system, f"{folder}/.{name}.part"
    system.mv(f"{folder}/.{name}.part", path)


def _tried(place: str, what: str, work: Callable[[], T]) -> T:
    with reached(place, what):
        for wait in (WAIT * 2**number for number in range(TRIES - 1)):
            try:
                return work()
            except (FileNotFoundError, PermissionError, RemoteError, NotImplementedError):
                raise
            except Exception as error:
                if _is_final(error):
                    raise
                time.sleep(wait)
        return work()


def _is_final(error: Exception) -> bool:
    """Whether another try would give the same: the server has answered that it will not."""
    status = getattr(error, "status", None)
    return status is not None and 400 <= status < 500 and status != 429


@contextmanager
def reached(place: str, what: str = "reached") -> Iterator[None]:
    """Turn errors of the block into one sentence without secrets: `place` cannot be `what`.

    Raises:
        FileNotFoundError: there is no such file, bucket or folder.
        PermissionError: the keys do not open it.
        OSError: the disk of this machine is full; keeps its number.
        RemoteError: anything else.
    """
    try:
        yield
    except (RemoteError, ImportError):
        raise
    except FileNotFoundError:
        why = f"cannot be {what}: the bucket or folder does not exist"
        raise FileNotFoundError(f"{shown(place)} {'is not there' if what in _READS else why}") from None
    except Exception as error:  # noqa: BLE001 every back end has its own
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OSError(error.errno, os.strerror(error.errno)) from None
        reason = _reason(error)
        if isinstance(error, PermissionError) or type(error).__name__ in _DENIED:
            raise PermissionError(
                f"{shown(place)} cannot be {what}: access is denied ({reason}); check the keys (of S3: AWS_PROFILE, "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine)"
            ) from None
        raise RemoteError(f"{shown(place)} cannot be {what} ({reason})") from None


def _reason(error: Exception) -> str:
    text = clean(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
