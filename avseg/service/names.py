"""Sanitised names of uploaded files."""

from __future__ import annotations

import unicodedata

LONGEST = 120
"""Bytes of a name."""
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')


def safe_name(name: str | None, usual: str = "video") -> str:
    """Return the last part of a name in a form that every file system accepts; `usual` if nothing remains.

    Letters of all scripts, spaces and brackets are kept; folders, control characters and leading dots are removed.
    """
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    kept = [one if _stays(one) else "_" for one in unicodedata.normalize("NFC", last)]
    plain = "".join(kept).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    if not dot or len(suffix) > 8:
        stem, suffix = plain, ""
    stem = stem.strip(" .").encode()[:LONGEST].decode(errors="ignore").strip(" .")
    return f"{stem or usual}{'.' * bool(suffix)}{suffix}"


def _stays(one: str) -> bool:
    return one not in _NOT_IN_NAMES and unicodedata.category(one)[0] != "C"
