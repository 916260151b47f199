"""Checks for missing, broken or contradictory files in a folder of VPO, built here or downloaded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avseg.datasets import DATASETS, SPLITS, build_dataset
from avseg.datasets.vpo.build.mix import SAMPLE_RATE, SECONDS
from avseg.datasets.vpo.build.options import FOLDERS, KINDS
from avseg.datasets.vpo.build.tables import finished, manifest, read_rows, table
from avseg.datasets.vpo.classes import vpo_classes
from avseg.datasets.vpo.reader import VPO, read_mask
from avseg.datasets.vpo.table import Sample
from avseg.io.audio import open_wav
from avseg.io.image import open_image
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import CheckReport, Fault

PUBLISHED = {"ss": (11312, 0, 890), "ms": (8380, 0, 1437), "msmi": (11080, 0, 1775)}
"""Samples of train, val, test as recalled from the paper, which counts val and test as one."""
WHERE = "the authors of VPO name downloads on their project page (cyh-0/CAVP); or build it: avseg data build-vpo"


@dataclass(frozen=True)
class _Found:
    fault: str = ""
    remarks: tuple[str, ...] = ()
    """Unusual facts about the sounds that are not faults."""


def check_vpo(kind: str, root: Path, workers: int = 0) -> CheckReport:
    """Read every picture, mask and sound of a set and judge what its rows say.

    Args:
        kind: `ss`, `ms` or `msmi`.
        root: The folder that holds `VPO` and the sounds.
        workers: Processes; 0 takes one for every core, 1 stays in this process.
    """
    spec, root = DATASETS[f"vpo_{kind}"], Path(root)
    report = CheckReport(spec.name, root, dict(zip(SPLITS, PUBLISHED[kind], strict=True)), where=WHERE)
    try:
        splits = {split: build_dataset(spec.config(name=spec.name), split, root) for split in SPLITS}
    except (ValueError, OSError) as error:
        report.faults.append(Fault("all", table(root, kind).name, str(error)))
        return report
    samples: dict[str, list[Sample]] = {s: d.samples for s, d in splits.items() if isinstance(d, VPO)}
    own = manifest(root, kind).is_file()
    _judge_counts(report, kind, samples, own)
    _judge_rows(report, kind, samples, own)
    _judge_neighbours(report, kind, samples, own)
    _judge_files(report, kind, samples, workers)
    return report


check_ss, check_ms, check_msmi = (partial(check_vpo, kind) for kind in KINDS)


def _judge_counts(report: CheckReport, kind: str, samples: Mapping[str, Sequence[Sample]], own: bool) -> None:
    report.found = {split: len(group) for split, group in samples.items()}
    if own:
        report.expected = dict(report.found)
        report.notes.append("built here, checked against its own table")
    elif report.found != report.expected:
        report.notes.append(
            "the expected numbers are recalled from the paper and not confirmed, so this is not a fault"
        )
    for split, group in samples.items():
        counts = Counter(vpo_classes()[source.class_id] for sample in group for source in sample.sources)
        if counts:
            report.notes.append(f"{split}: " + ", ".join(f"{name} {counts[name]}" for name in sorted(counts)))


def _judge_rows(report: CheckReport, kind: str, samples: Mapping[str, Sequence[Sample]], own: bool) -> None:
    """No sample twice, no class twice in MS, no picture and (of our own sets) no sound in two splits."""
    for split, group in samples.items():
        for name, count in Counter(sample.id for sample in group).items():
            if count > 1:
                report.faults.append(Fault(split, name, f"is listed {count} times"))
        for sample in group:
            classes = [source.class_id for source in sample.sources]
            if kind == "ms" and len(set(classes)) < len(classes):
                report.faults.append(
                    Fault(split, sample.id, "two sources have the same class, which VPO-MS does not allow")
                )
    pictures = {split: {sample.id[:12] for sample in group} for split, group in samples.items()}
    sounds = {split: {s.sound.stem for sample in group for s in sample.sources} for split, group in samples.items()}
    for first, second, name in _shared(pictures):
        report.faults.append(Fault(second, name, f"the picture is in {first} as well"))
    shared = list(_shared(sounds))
    if own:
        report.faults += [Fault(second, name, f"the sound is in {first} as well") for first, second, name in shared]
    elif shared:
        report.notes.append(f"{len(shared)} sounds are heard in more than one split")


def _shared(groups: Mapping[str, set[str]]) -> Iterable[tuple[str, str, str]]:
    """(first split, second split, name) of what is in both."""
    for i, first in enumerate(SPLITS):
        for second in SPLITS[i + 1 :]:
            for name in sorted(groups[first] & groups[second]):
                yield first, second, name


def _judge_neighbours(report: CheckReport, kind: str, samples: Mapping[str, Sequence[Sample]], own: bool) -> None:
    """Pictures and sounds that another set of the folder has in another split."""
    homes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for split, group in samples.items():
        for sample in group:
            homes["img_Id", str(int(sample.id[:12]))].add(split)
            for source in sample.sources:
                homes["vgg_file", source.sound.stem].add(split)
    for other in FOLDERS:
        if other == kind or not finished(report.root, other):
            continue
        rows = read_rows(report.root, other)
        strays = {
            row[key]
            for row in rows
            for key in ("img_Id", "vgg_file")
            if homes.get((key, row[key]), set()) - {row["split"]}
        }
        if strays:
            reason = f"{len(strays)} pictures or sounds are in another split of {FOLDERS[other]}, such as {min(strays)}"
            if own:
                report.faults.append(Fault("all", table(report.root, kind).name, reason))
            else:
                report.notes.append(reason)


def _judge_files(report: CheckReport, kind: str, samples: Mapping[str, Sequence[Sample]], workers: int) -> None:
    jobs = [sample for group in samples.values() for sample in group]
    homes = [split for split, group in samples.items() for _ in group]
    found = dict(run_jobs(_look, jobs, workers, f"check {FOLDERS[kind]}", "sample"))
    report.whole = dict.fromkeys(SPLITS, 0)
    remarks: Counter[str] = Counter()
    for number, (sample, split) in enumerate(zip(jobs, homes, strict=True)):
        remarks.update(found[number].remarks)
        if found[number].fault:
            report.faults.append(Fault(split, sample.id, found[number].fault))
        else:
            report.whole[split] += 1
    report.notes += [f"{count} sources are {remark}" for remark, count in sorted(remarks.items())]


def _look(sample: Sample) -> _Found:
    """Read the files of a sample: does the mask show what its rows say?"""
    try:
        picture = open_image(sample.image, "RGB")
        _, shown = read_mask(sample.mask, (picture.height, picture.width))
        remarks = tuple(remark for source in sample.sources for remark in _remarks(source.sound))
    except (ValueError, OSError) as error:
        return _Found(str(error))
    names = vpo_classes()
    seen = {names[i] for i in range(1, len(names)) if shown[i]}
    said = {names[source.class_id] for source in sample.sources}
    if seen != said:
        return _Found(f"{sample.mask} shows {_words(seen)}, but the rows say {_words(said)}")
    return _Found(remarks=remarks)


def _words(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _remarks(path: Path) -> list[str]:
    wav = open_wav(path)
    channels, samples = wav.samples.shape
    unusual = {
        "shorter than three seconds: repeated": samples < SECONDS * wav.rate,
        f"not of {SAMPLE_RATE} Hz: resampled": wav.rate != SAMPLE_RATE,
        "of several channels: averaged": channels > 1,
    }
    return [remark for remark, holds in unusual.items() if holds]
