"""Raw material to a data set's folder (`prepare`), and what is wrong in one (`avseg.prepare.check.check`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.prepare.avsbench import prepare as prepare

_HOMES = {"prepare": ".avsbench"}
__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
