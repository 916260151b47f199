"""Addresses of files on other machines, and sentences about them without keys."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from avseg.lazy import imported

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_IN_TEXT = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/\s@'\"]*@)?([^\s?'\"]*)(?:\?[^\s'\")]*)?", re.IGNORECASE)
_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_SECRETS = re.compile(r"KEY|SECRET|TOKEN|PASSWORD", re.IGNORECASE)
_DENIED = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_S3 = {"config_kwargs": {"retries": {"max_attempts": 3, "mode": "standard"}, "read_timeout": 60}}
"""An address that nobody answers is given up within a minute, and not within several."""
LONGEST = 300
"""Characters of another's message."""


def is_url(text: str) -> bool:
    """Whether a text is an address such as `s3://bucket/clips` and no path of this machine."""
    return bool(_URL.match(text)) and not text.startswith("file://")


def local_path(text: str) -> str:
    """The path of a text that is no address of another machine; `file:///data/a.mp4` is one of this machine."""
    return unquote(urlsplit(text).path) if text.startswith("file://") else text


def below_scheme(url: str) -> str:
    """Host or bucket, and the path in it: `bucket/clips/a.mp4`, without user and, of a web address, without query."""
    rest = url.partition("://")[2]
    if url.startswith(("http://", "https://")):
        rest = unquote(rest.partition("?")[0].partition("#")[0])
    host, slash, path = rest.partition("/")
    return f"{host.rpartition('@')[2]}{slash}{path}"


def shown(text: str) -> str:
    """A text whose addresses have no names, passwords and queries: these may be keys."""
    return _IN_TEXT.sub(r"\1\2", text)


def clean(text: str) -> str:
    """A message of one line without anything that this process knows to be a key."""
    text = shown(" ".join(text.split()))
    for name, value in os.environ.items():
        if _SECRETS.search(name) and len(value) > 7:
            text = text.replace(value, "***")
    text = _KEY.sub("***", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def filesystem(url: str) -> tuple[Any, str]:
    """What opens an address (of fsspec), and the path there.

    Raises:
        ImportError: the package for such addresses is not installed.
        ValueError: an address of no known kind.
        OSError: it cannot be reached.
    """
    options = _S3 if url.startswith(("s3://", "s3a://")) else {}
    try:
        found: tuple[Any, str] = imported("fsspec.core:url_to_fs")(url, **options)
    except ImportError as error:
        extra = 'pip install "avseg[remote]"'
        raise ImportError(f"{shown(url)} cannot be opened: {clean(str(error))}; for s3:// {extra}") from error
    except ValueError as error:
        raise ValueError(f"{shown(url)} is no address that can be opened ({clean(str(error))})") from error
    return found


@contextmanager
def reached(url: str) -> Iterator[None]:
    """Errors of the block become one sentence without keys.

    Raises:
        FileNotFoundError, PermissionError, OSError: what was there of it; a full disk of this machine keeps its number.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{shown(url)} is not there, or these keys do not show it") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OSError(error.errno, os.strerror(error.errno)) from error
        if isinstance(error, PermissionError) or type(error).__name__ in _DENIED:
            raise PermissionError(
                f"{shown(url)}: access is denied ({clean(str(error))}); check the keys (AWS_PROFILE, "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine)"
            ) from error
        raise OSError(f"{shown(url)} cannot be reached ({clean(str(error)) or type(error).__name__})") from error
