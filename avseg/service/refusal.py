"""Refusals of requests."""

from __future__ import annotations

from collections.abc import Mapping

CLOSE = {"Connection": "close"}
"""Header for refusals before a request was read completely."""


class Refusal(Exception):  # noqa: N818  no fault of this program
    """Ends a request with an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})
