"""Building VPO-SS, VPO-MS or VPO-MSMI from instances and sounds, in the distributed layout."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avseg.config import did_you_mean
from avseg.datasets.vpo.build.draw import DrawnSample, SampleDraw, split_pictures
from avseg.datasets.vpo.build.instances import AnnotatedPicture, read_instances
from avseg.datasets.vpo.build.options import FOLDERS, KINDS, SOUNDS, BuildOptions
from avseg.datasets.vpo.build.persons import PERSON_CLASSES, read_persons
from avseg.datasets.vpo.build.records import BuildReport
from avseg.datasets.vpo.build.report import write_report
from avseg.datasets.vpo.build.sounds import Pools, make_pools, read_class_map, read_sounds
from avseg.datasets.vpo.build.splits import SPLITS
from avseg.datasets.vpo.build.tables import (
    begin,
    finished,
    manifest_line,
    read_rows,
    rows_of,
    write_manifest,
    write_rows,
)
from avseg.datasets.vpo.build.write import (
    FileOutcome,
    RenderJob,
    picture_job,
    sound_jobs,
    write_picture,
    write_render,
    write_sound,
)
from avseg.io.files import clear_stale, inside
from avseg.prepare.jobs import run_jobs

log = logging.getLogger(__name__)
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Inputs:
    """All that samples are drawn of."""

    pictures: list[AnnotatedPicture]
    splits: dict[int, str]
    pools: Pools
    images: Path
    notes: list[str]
    digests: dict[str, str]
    """SHA-256 of the files of instances and sounds."""


def build_vpo(
    kind: str,
    instances: Path,
    images: Path,
    sounds: Path,
    out: Path,
    seed: int = 0,
    *,
    stereo: bool = False,
    options: BuildOptions | None = None,
) -> BuildReport:
    """Build one of the three sets. May be stopped at any time; a second run goes on where the first one stopped.

    Args:
        kind: `ss`, `ms` or `msmi`. `msmi` builds `ms` as well where `out` has none and `options.singles` is set.
        instances: COCO instances JSON.
        images: Folder of its pictures.
        sounds: Index of the labelled clips, a CSV file.
        out: The root to write: `VPO/VPO-SS/...` and `vggsound_bench/VGGSound/audios/...`.
        seed: The same seed, inputs and options give the same bytes, however many workers there are.
        stereo: What is rendered, on the report page too, is panned; the set itself serves both.
        options: All other choices.

    Raises:
        FileNotFoundError: an input is missing.
        ValueError: an input of another form, nothing to draw (the sentence names the classes), or an `out` that holds
            the same set of another seed, or another set that shares pictures or sounds over other splits.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no VPO set {kind!r}; {did_you_mean(kind, KINDS)}")
    if seed < 0:
        raise ValueError(f"got the seed {seed}, wanted 0 or greater")
    options, out = options or BuildOptions(), Path(out)
    clear_stale(out, below=True)
    inputs = _gather(Path(instances), Path(images), Path(sounds), seed, options)
    if kind != "msmi":
        return _build(kind, inputs, out, seed, stereo, options)
    singles = _singles(inputs, out, seed, stereo, options) if options.singles else []
    return _build(kind, inputs, out, seed, stereo, options, singles)


def _gather(instances: Path, images: Path, sounds: Path, seed: int, options: BuildOptions) -> Inputs:
    """Read the inputs and say what is left out of them."""
    class_map = read_class_map(options.class_map, options.change)
    persons = read_persons(options.persons, options.captions)
    notes = []
    people = [name for name in PERSON_CLASSES if name in class_map]
    clips, lost = read_sounds(sounds, options.audios)
    pools = make_pools(clips, class_map, options.fractions, seed, options.keep_splits)
    found, passed = read_instances(instances, sorted(pools.classes), persons, options.min_area)
    if passed["person without a sub-class"] and not persons:
        notes.append(
            f"no file tells which persons are male, female or baby: {', '.join(people)} "
            "are left out; give --persons or --captions"
        )
    if silent := [name for name, count in pools.counts.items() if not count]:
        notes.append(f"no sound of {', '.join(silent)}: these classes are left out")
    if lost:
        notes.append(f"{len(lost)} clips of the index are missing, such as {lost[0]}.wav")
    if pools.unused:
        notes.append(f"{pools.unused} clips have a label that no class of the map uses")
    notes += [f"{count} annotations skipped: {reason}" for reason, count in sorted(passed.items()) if count]
    _need_classes(found, pools)
    there = [picture for picture in found if inside(images, picture.file).is_file()]
    if missing := len(found) - len(there):
        names = sorted(picture.file for picture in found if not inside(images, picture.file).is_file())
        notes.append(f"{missing} of {len(found)} pictures are missing in {images}, such as {names[0]}")
    if not there:
        raise FileNotFoundError(f"none of the {len(found)} usable pictures is in {images}; give their folder")
    notes += _scarce(found, pools, options)
    digests = {"instances": _digest(instances), "sounds": _digest(sounds)}
    return Inputs(there, split_pictures(found, options, seed), pools, images, notes, digests)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _need_classes(pictures: Sequence[AnnotatedPicture], pools: Pools) -> None:
    """Refuse inputs without a class that is both seen and heard."""
    counts = Counter(instance.category for picture in pictures for instance in picture.instances)
    if not pools.classes & set(counts):
        told = "; ".join(f"{name}: {counts[name]} instances, {heard} sounds" for name, heard in pools.counts.items())
        raise ValueError(f"no class is left that has both instances and sounds. {told or 'The class map is empty'}")


def _scarce(pictures: Sequence[AnnotatedPicture], pools: Pools, options: BuildOptions) -> list[str]:
    """Classes that are seen but have no clip in a split."""
    seen = {instance.category for picture in pictures for instance in picture.instances}
    notes = []
    for split, share in zip(SPLITS, options.fractions, strict=True):
        lacking = [name for name in sorted(seen) if share > 0 and not pools.of(name, split)]
        if lacking:
            notes.append(f"{split} has no sound of {', '.join(lacking)}: they stay silent there")
    return notes


def _singles(inputs: Inputs, out: Path, seed: int, stereo: bool, options: BuildOptions) -> list[dict[str, str]]:
    """The rows of VPO-MS that MSMI refers to; VPO-MS is built where it is not finished."""
    if not finished(out, "ms"):
        try:
            log.info("%s", _build("ms", inputs, out, seed, stereo, options))
        except ValueError as error:
            if "can be drawn" not in str(error):
                raise
            inputs.notes.append(f"VPO-MSMI refers to no sample of VPO-MS: {error}")
            return []
    return read_rows(out, "ms")


def _build(
    kind: str,
    inputs: Inputs,
    out: Path,
    seed: int,
    stereo: bool,
    options: BuildOptions,
    singles: Sequence[dict[str, str]] = (),
) -> BuildReport:
    draw = SampleDraw(kind, inputs.pictures, inputs.splits, inputs.pools, options, seed)
    samples, notes = draw.samples()
    head = {"format_version": FORMAT_VERSION, "kind": kind, "seed": seed, "options": options.identity()}
    head["inputs"] = inputs.digests
    begin(out, kind, head, samples)
    report = BuildReport(kind, out, notes=[*inputs.notes, *notes])
    positions = _write_files(kind, samples, inputs, report, options)
    kept = [sample for sample in samples if sample.id in positions]
    if not kept:
        raise ValueError(f"not one of the {len(samples)} samples could be written; the first: {report.left_out[0][1]}")
    if options.render:
        _render(kind, kept, positions, out, stereo, options)
    rows = [row for sample in kept for row in rows_of(kind, sample, positions[sample.id])]
    write_rows(out, kind, [*({**row, "multi_instance": "0"} for row in singles), *rows])
    head |= {"left_out": [list(entry) for entry in report.left_out], "notes": report.notes}
    write_manifest(out, kind, head, [manifest_line(kind, s, positions[s.id]) for s in kept], singles)
    _count(report, rows, kept, singles)
    write_report(report, kept, positions, seed, stereo, options)
    return report


def _write_files(
    kind: str, samples: Sequence[DrawnSample], inputs: Inputs, report: BuildReport, options: BuildOptions
) -> dict[str, tuple[float, ...]]:
    """Write sounds, pictures and masks; gives the positions of the sources of every sample that came about."""
    clips = sound_jobs(samples, report.out)
    heard = dict(run_jobs(write_sound, clips, options.workers, f"sounds of {FOLDERS[kind]}", "sound"))
    broken = {job.place.stem: heard[n].fault for n, job in enumerate(clips) if heard[n].fault}
    short = sum(bool(outcome.note) for outcome in heard.values())
    if short:
        report.notes.append(f"{short} of {len(clips)} sounds are shorter than three seconds; they are repeated")
    report.left_out += sorted((f"{stem}.wav", fault) for stem, fault in broken.items())
    sane = [sample for sample in samples if not any(source.sound.stem in broken for source in sample.sources)]
    jobs = [picture_job(kind, sample, inputs.images, report.out, options) for sample in sane]
    title = f"pictures of {FOLDERS[kind]}"
    seen: dict[int, FileOutcome] = dict(run_jobs(write_picture, jobs, options.workers, title, "picture"))
    report.made = sum(outcome.made for outcome in seen.values())
    positions = {}
    for number, sample in enumerate(sane):
        if seen[number].fault:
            report.left_out.append((sample.id, seen[number].fault))
        else:
            positions[sample.id] = seen[number].positions or tuple(s.instance.position for s in sample.sources)
    return positions


def _render(
    kind: str,
    samples: Sequence[DrawnSample],
    positions: dict[str, tuple[float, ...]],
    out: Path,
    stereo: bool,
    options: BuildOptions,
) -> None:
    folder = out / "VPO" / FOLDERS[kind] / ("stereo" if stereo else "mono")
    jobs = [
        RenderJob(
            tuple(out / SOUNDS / f"{source.sound.stem}.wav" for source in sample.sources),
            positions[sample.id],
            stereo,
            folder / f"{sample.id}.wav",
        )
        for sample in samples
    ]
    for _ in run_jobs(write_render, jobs, options.workers, f"three seconds each of {FOLDERS[kind]}", "sound"):
        pass


def _count(
    report: BuildReport, rows: Sequence[dict[str, Any]], kept: Sequence[DrawnSample], singles: Sequence[dict[str, str]]
) -> None:
    pictures = {(row["img_Id"], row["split"]) for row in singles}
    splits = Counter(sample.split for sample in kept) + Counter(split for _, split in pictures)
    report.samples = {split: splits[split] for split in SPLITS}
    classes = Counter(row["cateName"] for row in [*singles, *rows])
    report.classes = {name: classes[name] for name in sorted(classes)}
