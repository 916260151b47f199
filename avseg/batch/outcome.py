"""What became of one video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from avseg.config import from_dict, to_dict


@dataclass(frozen=True)
class Outcome:
    """Of all tries together."""

    id: str
    status: Literal["done", "there", "failed"]
    """`there`: it had its result before."""
    error: str = ""
    """Why there is no result, in one sentence."""
    notes: tuple[str, ...] = ()
    """What there is to say of a result, such as a file that is cut short."""
    tries: int = 1
    duration: float = 0.0
    """s of the video."""
    seconds: float = 0.0
    """s that the last try took."""
    begun: str = ""
    """When the last try began, by the clock of its machine, in UTC."""
    ended: str = ""
    host: str = ""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that decide the bytes."""

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
