"""What a request is refused with."""

from __future__ import annotations

from collections.abc import Mapping

CLOSE = {"Connection": "close"}
"""For refusals before a request was read to its end."""


class Refusal(Exception):  # noqa: N818  no fault of this program
    """Ends a request with a status of HTTP and one sentence."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})
