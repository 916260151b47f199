"""Checks for missing or broken files in a folder of clips."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

from avseg.config import InputSpec
from avseg.data.geometry import Geometry
from avseg.io.pickles import read_tensor
from avseg.prepare.files import CONVERTED, PSEUDO, TRUTH, ClipFolder
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import CheckReport, Fault


def check_clips(folder: ClipFolder, root: Path, workers: int = 0) -> CheckReport:
    """Read every file of every clip and report faults.

    Args:
        folder: The data set.
        root: Its folder. A folder with `truth.json` is a synthetic world and is checked against its own table.
        workers: Processes; 0 takes one for every core, 1 stays in this process.
    """
    report = CheckReport(folder.name, Path(root), dict(folder.published), where=folder.where)
    table = folder.tables[0]
    try:
        splits = {split: folder.open(split, report.root) for split in folder.published}
    except (ValueError, OSError) as error:
        report.faults.append(Fault("all", table, str(error)))
        return report
    report.found = {split: len(dataset) for split, dataset in splits.items()}
    judge_counts(report, table, "the table lists {} clips", () if folder.confirmed else report.found)
    _judge_clips(report, splits, workers)
    return report


def of_ours(root: Path) -> str:
    """Return the kind of a folder made by avseg, to which published numbers do not apply; empty for others."""
    kinds = {TRUTH: "a synthetic world", PSEUDO: "ground truth made by a model", CONVERTED: "clips of another layout"}
    return next((kind for name, kind in kinds.items() if (root / name).is_file()), "")


def judge_counts(report: CheckReport, table: str, what: str, unconfirmed: Container[str] = ()) -> None:
    """Compare the numbers in the tables (`report.found`) with the published ones, except in folders made by avseg.

    Args:
        report: Gets faults and notes.
        table: Name of the table; `{split}` stands for the split.
        what: "the table lists {} clips", with braces for the number.
        unconfirmed: Splits whose published number is not certain.
    """
    if kind := of_ours(report.root):
        report.expected = {split: report.found.get(split, 0) for split in report.expected}
        report.notes.append(f"{kind}, checked against its own table")
    for split, found in report.found.items():
        if found == report.expected[split]:
            continue
        reason = f"{what.format(found)}, the published number is {report.expected[split]}"
        if split in unconfirmed:
            report.notes.append(f"{split}: {reason}; that number is not confirmed, so this is not a fault")
        else:
            report.faults.append(Fault(split, table.format(split=split), reason))


def _judge_clips(report: CheckReport, splits: dict[str, Any], workers: int) -> None:
    jobs = [(dataset, i) for dataset in splits.values() for i in range(len(dataset))]
    reasons = dict(run_jobs(_fault_of, jobs, workers, f"check {report.name}"))
    report.whole = dict.fromkeys(splits, 0)
    for number, (dataset, i) in enumerate(jobs):
        if reason := reasons[number]:
            report.faults.append(Fault(dataset.split, dataset.ids[i], reason))
        else:
            report.whole[dataset.split] += 1
    pickles = [dataset.files(i).log_mel for dataset, i in jobs]
    absent = sum(path is not None and not path.is_file() for path in pickles)
    if absent:
        report.notes.append(
            f"{absent} of {len(jobs)} log-mel pickles are missing; only --data.audio log_mel needs them"
        )


def _fault_of(job: tuple[Any, int]) -> str:
    """Return why a clip cannot be read; empty if it can."""
    dataset, index = job
    try:
        dataset.read(index, Geometry(InputSpec((32, 32))))
        log_mel = dataset.files(index).log_mel
        if log_mel is not None and log_mel.is_file():
            read_tensor(log_mel)
    except (ValueError, OSError) as error:
        return str(error)
    return ""
