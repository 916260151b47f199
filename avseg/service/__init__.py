"""The HTTP service: clients upload videos to a queue that survives a restart, and download results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.service.app import make_app as make_app
    from avseg.service.server import serve as serve
    from avseg.service.service import Service as Service
    from avseg.service.settings import Settings as Settings

_HOMES = {"Service": ".service", "Settings": ".settings", "make_app": ".app", "serve": ".server"}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
