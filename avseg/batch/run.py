"""A batch from its list to its manifest: existing results are skipped, failures are noted, and a later run
continues.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from avseg.batch.inputs import find_batch_videos
from avseg.batch.manifest import ManifestNotes, rows_by_id, table_of, write_table
from avseg.batch.outcome import Outcome
from avseg.batch.plan import BatchPlan, settle
from avseg.batch.results import RESULT, Results, open_results
from avseg.batch.runner import VideoRunner, Wanted
from avseg.batch.shards import gather
from avseg.batch.videos import BatchVideo, part_of_id
from avseg.progress import Progress

log = logging.getLogger(__name__)

_FULL = os.strerror(errno.ENOSPC)
LOST = "no process answered for this video in several attempts"
MOST_TOLD = 10
"""Largest number of failures listed at the end of a run."""


@dataclass
class BatchReport:
    """The outcome of a run."""

    out: str
    listed: int
    """Number of videos in the list."""
    chosen: int
    """Number of videos of this run: all, or those of its shard."""
    done: int = 0
    """Number of videos segmented by this run."""
    there: int = 0
    """Number of videos with an earlier result, or one from a run at the same time."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reasons by id."""
    waiting: int | None = None
    """Number of videos without result or failure in any run; None if not counted."""

    @property
    def exit_code(self) -> int:
        """0 if every video of this run has its result, else 1."""
        return 1 if self.failed else 0

    @property
    def summary(self) -> str:
        """The number of each outcome, and the first failures."""
        told = (
            f"{self.done} segmented, {self.there} already there, {len(self.failed)} failed; results are in {self.out}"
        )
        lines = [f"  {key}: {sentence}" for key, sentence in list(self.failed.items())[:MOST_TOLD]]
        if len(self.failed) > MOST_TOLD:
            lines.append(f"  and {len(self.failed) - MOST_TOLD} more; all of them are in the manifest")
        if self.waiting:
            lines.append(
                f"{self.waiting} of {self.listed} videos are left to other runs; the last run writes the tables"
            )
        return "\n".join([told, *lines])


def run_batch(
    plan: BatchPlan, inputs: Sequence[str], runner: VideoRunner, shard: tuple[int, int] | None = None
) -> BatchReport:
    """Segment the videos in `inputs` that have no result yet.

    A place with results of other settings or another model is refused. Several runs may share a place at the same time;
    at worst they process some videos twice, with the same bytes.

    Args:
        plan: settings and place of the results.
        inputs: see `find_batch_videos`.
        runner: the runner, which is closed at the end.
        shard: (index, number): only the videos of one of so many equal parts.

    Raises:
        ValueError: no video, a shard that there is not, or a place with results of other settings.
        OSError: a place or a list that cannot be reached, or a full disk; a later run goes on.
    """
    with closing(runner):
        videos = find_batch_videos(inputs, plan.out)
        chosen = videos if shard is None else [video for video in videos if _is_of(video, shard)]
        results = open_results(plan.out)
        settle(results, plan.note(runner.describe()))
        results.tidy()
        report = BatchReport(results.shown, len(videos), len(chosen))
        _segment(results, chosen, runner, report)
        _end(results, plan, videos, report, whole=shard is None)
        results.tidy()
    return report


def _is_of(video: BatchVideo, shard: tuple[int, int]) -> bool:
    index, number = shard
    if not 0 <= index < number:
        raise ValueError(f"the shard index is {index}, wanted 0 to {number - 1}")
    return part_of_id(video.id, number) == index


def _segment(results: Results, videos: Sequence[BatchVideo], runner: VideoRunner, report: BatchReport) -> None:
    """Segment the videos without a result of their current file."""
    rows = rows_by_id(results.all_lines())
    there = results.sizes([video.id for video in videos], (RESULT,))[RESULT]
    wanted = [(video, video.id in there) for video in videos if video.id not in there or _changed(video, rows)]
    report.there = len(videos) - len(wanted)
    with closing(ManifestNotes(results, runner.name)) as notes:
        for video in videos:
            if video.id in there and rows.get(video.id, {}).get("status") != "done":
                notes.add(video, Outcome(video.id, "there"))  # its run was killed before it could say so
        left = {video.id: (video, rows.get(video.id, {}).get("revision", 0) + again) for video, again in wanted}
        progress = Progress(len(videos), "batch", "video", done=report.there)
        with progress, closing(_outcomes(runner, wanted)) as outcomes:
            for outcome in outcomes:
                if outcome.id in left:
                    _count(outcome, *left.pop(outcome.id), notes, report)
                    progress.advance()
        for video, revision in left.values():
            _count(Outcome(video.id, "failed", LOST), video, revision, notes, report)


def _changed(video: BatchVideo, rows: dict[str, dict[str, Any]]) -> bool:
    """Whether the file of a video has changed its size since its result."""
    before = rows.get(video.id, {}).get("bytes")
    return before is not None and video.bytes is not None and before != video.bytes


def _outcomes(runner: VideoRunner, wanted: Sequence[Wanted]) -> Generator[Outcome, None, None]:
    """Yield outcomes in a random order, so that two runs with one list rarely work on the same video."""
    own = secrets.token_bytes(8)
    if wanted:
        yield from runner.run(sorted(wanted, key=lambda one: sha256(own + one[0].id.encode()).digest()))


def _count(outcome: Outcome, video: BatchVideo, revision: int, notes: ManifestNotes, report: BatchReport) -> None:
    """
    Raises:
        OSError: a disk is full.
    """
    if outcome.status == "failed" and _FULL in outcome.error:
        raise OSError(
            f"{report.out}: {_FULL.lower()} after {report.done} videos of this "
            f"run ({outcome.error}); free some space there "
            "and in the folder for temporary files, then repeat the command to continue"
        )
    notes.add(video, outcome, revision)
    if outcome.status == "there":
        report.there += 1
    elif outcome.status == "done":
        report.done += 1
        for note in outcome.notes:
            log.warning("%s: %s", outcome.id, note)
    else:
        report.failed[outcome.id] = outcome.error
        log.error("%s: %s", outcome.id, outcome.error)


def _end(results: Results, plan: BatchPlan, videos: Sequence[BatchVideo], report: BatchReport, *, whole: bool) -> None:
    """Write the tables, unless other shards are unfinished."""
    rows = rows_by_id(results.all_lines())
    report.waiting = sum(video.id not in rows for video in videos)
    if report.waiting and not whole:
        return
    parquet = plan.masks == "parquet"
    ids = sorted({*rows, *(video.id for video in videos)})
    if parquet:
        gather(results, ids, plan.parts, {part_of_id(key, plan.parts) for key in ids})
    before: list[dict[str, Any]] | None = None
    for _ in range(3):  # where other runs end at the same time, the last one has seen them all
        table = table_of(rows_by_id(results.all_lines()), videos, results.sizes(ids, (RESULT,))[RESULT])
        if table == before:
            break
        write_table(results, table, parquet=parquet)
        before = table
