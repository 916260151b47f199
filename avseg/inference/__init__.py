"""Segmentation of videos: predict the masks of the sounding objects, save and load results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.inference.folder import FolderReport as FolderReport
    from avseg.inference.folder import predict_folder as predict_folder
    from avseg.inference.folder import predict_paths as predict_paths
    from avseg.inference.records import FrameResult as FrameResult
    from avseg.inference.result import Result as Result
    from avseg.inference.segmenter import Segmenter as Segmenter

_HOMES = {
    "FrameResult": ".records",
    "FolderReport": ".folder",
    "Result": ".result",
    "Segmenter": ".segmenter",
    "predict_folder": ".folder",
    "predict_paths": ".folder",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
