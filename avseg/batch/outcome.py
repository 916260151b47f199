"""The outcome of one video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from avseg.config import from_dict, to_dict


@dataclass(frozen=True)
class Outcome:
    """The outcome after all attempts."""

    id: str
    status: Literal["done", "there", "failed"]
    """`there` means that the result existed before."""
    error: str = ""
    """Reason for a missing result, as one sentence."""
    notes: tuple[str, ...] = ()
    """Remarks about a result, such as a truncated file."""
    tries: int = 1
    duration: float = 0.0
    """Length of the video in s."""
    seconds: float = 0.0
    """Duration of the last attempt in s."""
    begun: str = ""
    """Start of the last attempt in UTC, by the clock of its machine."""
    ended: str = ""
    host: str = ""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that determine the bytes."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        """
        Raises:
            ValueError: a name that there is not, or a value of another type.
        """
        return from_dict(cls, values)
