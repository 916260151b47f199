"""Engines that run networks for predictions: PyTorch, OpenVINO, ONNX Runtime. Importing this loads none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.engines.records import ENGINES as ENGINES
from avseg.engines.records import FAST as FAST
from avseg.engines.records import PRECISIONS as PRECISIONS
from avseg.engines.records import Choice as Choice
from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.engines.attach import with_engine as with_engine
    from avseg.engines.choice import choose as choose

_HOMES = {"choose": ".choice", "with_engine": ".attach"}

__all__ = ["ENGINES", "FAST", "PRECISIONS", "Choice", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
