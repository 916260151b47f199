"""Raw material to a data set's folder (`prepare`), and what is wrong in one (`avseg.prepare.check.check`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avseg.prepare.avsbench import prepare as prepare

__all__ = ["prepare"]


def __getattr__(name: str) -> Any:
    if name != "prepare":
        raise AttributeError(f"module 'avseg.prepare' has no attribute {name!r}")
    from avseg.prepare.avsbench import prepare

    return prepare
