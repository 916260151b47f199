"""From any video to the masks of what sounds in it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avseg.inference.folder import Report as Report
    from avseg.inference.folder import predict_folder as predict_folder
    from avseg.inference.folder import predict_paths as predict_paths
    from avseg.inference.result import FrameResult as FrameResult
    from avseg.inference.result import Result as Result
    from avseg.inference.segmenter import Segmenter as Segmenter
    from avseg.inference.windows import windows as windows

_HOMES = {
    "FrameResult": "result",
    "Report": "folder",
    "Result": "result",
    "Segmenter": "segmenter",
    "predict_folder": "folder",
    "predict_paths": "folder",
    "windows": "windows",
}

__all__ = ["FrameResult", "Report", "Result", "Segmenter", "predict_folder", "predict_paths", "windows"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'avseg.inference' has no attribute {name!r}")
    return getattr(importlib.import_module(f"avseg.inference.{_HOMES[name]}"), name)
