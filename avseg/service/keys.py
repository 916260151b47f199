"""API keys, which identify clients. Only digests are kept, and no message or log line contains a key."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

VARIABLE = "AVSEG_API_KEYS"
"""Environment variable with keys, separated by commas or white space."""
SHORTEST = 16
"""Smallest number of characters in a key."""


class Keys:
    """The accepted keys; without keys everybody has access."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        """
        Raises:
            ValueError: a key that is too short to be one, or that no header can hold; the sentence tells its place and
                not the key.
        """
        keys = list(keys)
        for place, key in enumerate(keys):
            if len(key) < SHORTEST:
                raise ValueError(f"API key {place + 1} has {len(key)} characters, wanted at least {SHORTEST}")
            if not all("!" <= one <= "~" for one in key):
                raise ValueError(f"API key {place + 1} has a character that a header cannot hold; use ASCII letters")
        self._digests = [sha256(key.encode()).digest() for key in keys]

    @classmethod
    def read(cls, path: Path | None = None) -> Keys:
        """Read keys from a file, one per line without blank lines and # comments, or else from `VARIABLE`.

        Raises:
            ValueError: a file without keys, or a key that is too short.
            OSError: a file that cannot be read.
        """
        if path is None:
            return cls(os.environ.get(VARIABLE, "").replace(",", " ").split())
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text; write one API key on each line") from error
        lines = [line.strip() for line in text.splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise ValueError(f"{path} holds no API key; write one on each line")
        return cls(keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, key: str | None) -> str | None:
        """Return sixteen digits that identify a key's owner; `anyone` without keys, None for an unknown key.

        All keys are compared, each in constant time.
        """
        if not self._digests:
            return "anyone"
        digest = sha256((key or "").encode()).digest()
        matches = [compare_digest(digest, own) for own in self._digests]
        return digest.hex()[:16] if any(matches) else None
