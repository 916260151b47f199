"""Addresses of files on other machines, and messages about them without keys.

An address has a scheme: `s3://bucket/clips`, `https://host/a.mp4`. Messages never hold users, passwords, queries (which
may be signatures), or keys that the environment names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_IN_TEXT = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/\s@'\"]*@)?([^\s?'\"]*)(?:\?[^\s'\")]*)?", re.IGNORECASE)
_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_SECRETS = re.compile(r"KEY|SECRET|TOKEN|PASSWORD", re.IGNORECASE)
"""Names of environment variables that hold keys."""
LONGEST = 300
"""Characters of a foreign message that are shown."""


def has_scheme(place: str | Path) -> bool:
    """Whether a place is an address, `file:///data` included. One letter before the colon is a drive."""
    return isinstance(place, str) and _SCHEME.match(place) is not None


def is_url(place: str) -> bool:
    """Whether a place is an address of another machine."""
    return has_scheme(place) and not place.startswith("file://")


def local_path(place: str) -> str:
    """The path of a place on this machine; of `file:///data/a.mp4` it is `/data/a.mp4`."""
    return unquote(urlsplit(place).path) if place.startswith("file://") else place


def below_scheme(url: str) -> str:
    """Host or bucket, and the path in it: `bucket/clips/a.mp4`, without the user and, of a web address, the query."""
    rest = url.partition("://")[2]
    if url.startswith(("http://", "https://")):
        rest = unquote(rest.partition("?")[0].partition("#")[0])
    host, slash, path = rest.partition("/")
    return f"{host.rpartition('@')[2]}{slash}{path}"


def joined(place: str, *names: str) -> str:
    """A place below another."""
    head, query, tail = place.partition("?")
    return "/".join([head.rstrip("/"), *names]) + query + tail


def shown(place: str) -> str:
    """A place as messages name it: without user, password and query."""
    if not has_scheme(place):
        return _IN_TEXT.sub(r"\1\2", place)
    scheme, _, rest = place.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def clean(text: str) -> str:
    """A foreign message as one line of at most `LONGEST` characters, without keys."""
    text = _IN_TEXT.sub(r"\1\2", " ".join(text.split()))
    for name, value in os.environ.items():
        if _SECRETS.search(name) and len(value) > 7:
            text = text.replace(value, "***")
    text = _KEY.sub("***", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
