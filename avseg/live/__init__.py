"""Segmentation of a stream while it plays: a camera and a microphone, or any address that FFmpeg opens
(docs/how-to/live.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.live.inputs import inputs_of as inputs_of
    from avseg.live.run import run_live as run_live
    from avseg.live.stream import LiveFrame as LiveFrame
    from avseg.live.stream import LiveStream as LiveStream

_HOMES = {
    "LiveFrame": ".stream",
    "LiveStream": ".stream",
    "inputs_of": ".inputs",
    "run_live": ".run",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
