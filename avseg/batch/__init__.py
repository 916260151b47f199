"""Segmentation of many videos on one or several machines: a list, a place for results, and a manifest of outcomes.

Imports no torch; only the processes that segment do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.batch.inputs import find_batch_videos as find_batch_videos
    from avseg.batch.manifest import read_manifest as read_manifest
    from avseg.batch.plan import BatchPlan as BatchPlan
    from avseg.batch.run import BatchReport as BatchReport
    from avseg.batch.run import run_batch as run_batch
    from avseg.batch.runner import LocalRunner as LocalRunner
    from avseg.batch.shards import unpack as unpack
    from avseg.batch.videos import BatchVideo as BatchVideo

_HOMES = {
    "BatchPlan": ".plan",
    "BatchReport": ".run",
    "BatchVideo": ".videos",
    "LocalRunner": ".runner",
    "find_batch_videos": ".inputs",
    "read_manifest": ".manifest",
    "run_batch": ".run",
    "unpack": ".shards",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
