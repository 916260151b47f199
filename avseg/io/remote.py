"""Places beyond this machine's disks, opened by fsspec: `s3://bucket/folder`, `https://host/folder`, `memory://name`.

What goes wrong is one sentence. Credentials are those of fsspec's own back ends (environment, configuration files).
No message holds them, nor passwords and signatures of URLs.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from avseg.io.files import write_aside

T = TypeVar("T")

TRIES = 3
"""How often a read is tried where the connection fails."""
WAIT = 0.5
"""s before the second try; twice as long before the next."""
_FOLDERS = {"file", "local", "sftp", "ssh", "smb", "hdfs", "ftp"}
"""Protocols of file systems with folders, which show files while they are written."""
_S3 = {"config_kwargs": {"retries": {"max_attempts": 3, "mode": "standard"}, "read_timeout": 60}}
"""An address that nobody answers is given up within a minute."""
_DENIED = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError")
"""Errors of back ends that find no key."""
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD", re.IGNORECASE)
"""Names of environment variables that hold keys."""
_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://[^\s'\"<>()]+")


class RemoteError(OSError):
    """A remote place that cannot be read or written; the message is one sentence."""


def is_remote(place: str | Path) -> bool:
    """Whether it names a place by its scheme; one letter before the colon is a drive."""
    return isinstance(place, str) and _SCHEME.match(place) is not None


def joined(place: str, *names: str) -> str:
    """A place below another."""
    head, query, tail = place.partition("?")
    return "/".join([head.rstrip("/"), *names]) + query + tail


def shown(place: str) -> str:
    """A place as messages have it: without a user, a password or what stands behind a question mark."""
    scheme, _, rest = place.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def read(place: str, begin: int | None = None, end: int | None = None) -> bytes:
    """The bytes of a file, or those from `begin` to before `end`.

    Raises:
        FileNotFoundError: no such file.
        RemoteError: the place cannot be reached or denies it, or gives other bytes than asked for.
    """

    def work() -> bytes:
        system, path = _opened(place)
        content: bytes = system.cat_file(path, start=begin, end=end)
        return content

    content = _tried(place, "read", work)
    if begin is not None and end is not None and len(content) > end - begin:
        raise RemoteError(f"{shown(place)} gives whole files where a part is asked for; take a server that knows Range")
    return content


def size(place: str) -> int:
    """Bytes of a file.

    Raises:
        FileNotFoundError, RemoteError: as `read`.
    """

    def work() -> int:
        system, path = _opened(place)
        found = system.info(path)["size"]
        if found is None:
            raise RemoteError(f"{shown(place)} does not say how large it is; take a server that gives Content-Length")
        return int(found)

    return _tried(place, "read", work)


def exists(place: str) -> bool:
    """Whether a file or folder is there.

    Raises:
        RemoteError: the place cannot be reached or denies it.
    """

    def work() -> bool:
        system, path = _opened(place)
        try:
            system.info(path)
        except FileNotFoundError:
            return False
        return True

    return _tried(place, "read", work)


def listed(place: str) -> list[str]:
    """The names of the files in a folder, in order; empty where there is no such folder.

    Raises:
        RemoteError: the place cannot be reached or denies it.
    """

    def work() -> list[str]:
        system, path = _opened(place)
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
        RemoteError: the place cannot be reached or denies it.
    """
    with _sentences(place, "written"), _aside(place) as (system, path):
        system.pipe_file(path, content)


def upload(path: Path, place: str) -> None:
    """Copy a file of this machine to a place, whole or not at all.

    Raises:
        RemoteError: the place cannot be reached or denies it.
    """
    with _sentences(place, "written"), _aside(place) as (system, target):
        system.put_file(str(path), target)


def download(place: str, path: Path) -> None:
    """Copy a file from a place to this machine, whole or not at all.

    Raises:
        FileNotFoundError, RemoteError: as `read`.
    """

    def work() -> None:
        system, source = _opened(place)
        with write_aside(path) as aside:
            system.get_file(source, str(aside))

    _tried(place, "read", work)


def remove(place: str) -> None:
    """Remove a file; nothing where there is none.

    Raises:
        RemoteError: the place cannot be reached or denies it.
    """
    with _sentences(place, "removed"):
        system, path = _opened(place)
        if system.exists(path):
            system.rm_file(path)


def _opened(place: str) -> tuple[Any, str]:
    """The file system of a place, and what it calls it. A forked process gets file systems of its own."""
    try:
        system, path = fsspec.core.url_to_fs(place, **(_S3 if place.startswith(("s3://", "s3a://")) else {}))
    except ImportError as error:
        raise RemoteError(
            f'{shown(place)} needs a package that is missing ({error}); pip install "avseg[remote]"'
        ) from None
    except ValueError as error:
        raise RemoteError(f"{shown(place)} is no place that fsspec knows ({error})") from None
    return system, str(path)


@contextmanager
def _aside(place: str) -> Iterator[tuple[Any, str]]:
    """The file system of a place, and where to write. Object stores show an object once all of it is there; in others
    it is written beside its place first."""
    system, path = _opened(place)
    if not _FOLDERS & set([system.protocol] if isinstance(system.protocol, str) else system.protocol):
        yield system, path
        return
    folder, _, name = path.rpartition("/")
    system.makedirs(folder, exist_ok=True)
    yield system, f"{folder}/.{name}.part"
    system.mv(f"{folder}/.{name}.part", path)


def _tried(place: str, what: str, work: Callable[[], T]) -> T:
    with _sentences(place, what):
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
def _sentences(place: str, what: str) -> Iterator[None]:
    try:
        yield
    except RemoteError:
        raise
    except FileNotFoundError:
        why = "is not there" if what == "read" else f"cannot be {what}, there is no such bucket or folder"
        raise FileNotFoundError(f"{shown(place)} {why}") from None
    except Exception as error:  # noqa: BLE001 every back end has its own
        if isinstance(error, PermissionError) or type(error).__name__ in _DENIED:
            raise RemoteError(
                f"{shown(place)} cannot be {what}, access is denied ({_reason(error)}); check the key (of S3: "
                "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            ) from None
        raise RemoteError(f"{shown(place)} cannot be {what} ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = _KEY.sub("***", _URL.sub(lambda found: shown(found[0]), lines[0] if lines else ""))
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) > 7:
            text = text.replace(value, "***")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
