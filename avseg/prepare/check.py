"""What is missing or broken in a data set's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avseg.config import InputSpec, did_you_mean
from avseg.data import SPLITS, DataConfig, build_dataset
from avseg.data.geometry import Geometry
from avseg.io.pickles import read_tensor
from avseg.prepare.avsbench import TABLES
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import CheckReport, Fault

PUBLISHED = {"s4": (3452, 740, 740), "ms3": (296, 64, 64), "avss": (8498, 1304, 1554)}
"""Clips of train, val, test. Those of AVSS are recalled from the paper and not confirmed."""
UNCONFIRMED = ("avss",)
VPO_SETS = ("vpo_ss", "vpo_ms", "vpo_msmi")
"""Checked by `avseg.prepare.vpo.check`."""
WHERE = (
    "the data are sent on request: see the AVSBench project page (OpenNLPLab/AVSBench) for the form, "
    "or write to the authors by e-mail"
)


def check(name: str, root: Path, *, workers: int = 0) -> CheckReport:
    """Read every file of every clip and say what is wrong.

    Args:
        name: `s4`, `ms3`, `avss`, `aviseg`, `vpo_ss`, `vpo_ms` or `vpo_msmi`.
        root: The data set's folder. Where it holds `truth.json` it is a synthetic world, whose own table counts.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    Raises:
        ValueError: an unknown name.
    """
    if name == "aviseg":
        from avseg.prepare.aviseg_check import check_aviseg

        return check_aviseg(root, workers)
    if name in VPO_SETS:
        from avseg.prepare.vpo.check import check_vpo

        return check_vpo(name, root, workers)
    if name not in TABLES:
        raise ValueError(f"no folder of {name!r} can be checked; {did_you_mean(name, (*TABLES, 'aviseg', *VPO_SETS))}")
    root = Path(root)
    report = CheckReport(name, root, dict(zip(SPLITS, PUBLISHED[name], strict=True)), where=WHERE)
    try:
        splits: dict[str, Any] = {split: build_dataset(DataConfig(name=name), split, root) for split in SPLITS}
    except (ValueError, OSError) as error:
        report.faults.append(Fault("all", TABLES[name][0], str(error)))
        return report
    _judge_counts(report, splits)
    _judge_clips(report, splits, workers)
    return report


def _judge_counts(report: CheckReport, splits: dict[str, Any]) -> None:
    report.found = {split: len(dataset) for split, dataset in splits.items()}
    if (report.root / "truth.json").is_file():
        report.expected = dict(report.found)
        report.notes.append("a synthetic world, judged by its own table")
    for split in SPLITS:
        if report.found[split] == report.expected[split]:
            continue
        reason = f"the table lists {report.found[split]} clips, published are {report.expected[split]}"
        if report.name in UNCONFIRMED:
            report.notes.append(f"{split}: {reason}; that number is not confirmed, so this is no fault")
        else:
            report.faults.append(Fault(split, TABLES[report.name][0], reason))


def _judge_clips(report: CheckReport, splits: dict[str, Any], workers: int) -> None:
    jobs = [(dataset, i) for dataset in splits.values() for i in range(len(dataset))]
    reasons = dict(run_jobs(_fault_of, jobs, workers, f"check {report.name}"))
    report.whole = dict.fromkeys(SPLITS, 0)
    for number, (dataset, i) in enumerate(jobs):
        if reason := reasons[number]:
            report.faults.append(Fault(dataset.split, dataset.ids[i], reason))
        else:
            report.whole[dataset.split] += 1
    pickles = [dataset.files(i).log_mel for dataset, i in jobs]
    absent = sum(path is not None and not path.is_file() for path in pickles)
    if absent:
        report.notes.append(f"{absent} of {len(jobs)} log-mel pickles are absent; only --data.audio log_mel needs them")


def _fault_of(job: tuple[Any, int]) -> str:
    """Why a clip cannot be read; empty where it can."""
    dataset, index = job
    try:
        dataset.read(index, Geometry(InputSpec((32, 32))))
        log_mel = dataset.files(index).log_mel
        if log_mel is not None and log_mel.is_file():
            read_tensor(log_mel)
    except (ValueError, OSError) as error:
        return str(error)
    return ""
