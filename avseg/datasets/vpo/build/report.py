"""The page that shows what was built: classes, places, and samples to look at and to listen to."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avseg.datasets.vpo.build.draw import DrawnSample
from avseg.datasets.vpo.build.mix import SAMPLE_RATE, mix
from avseg.datasets.vpo.build.options import FOLDERS, SOUNDS, BuildOptions
from avseg.datasets.vpo.build.records import BuildReport
from avseg.datasets.vpo.build.splits import SPLITS, rank
from avseg.datasets.vpo.build.write import picture_place
from avseg.datasets.vpo.classes import vpo_classes, vpo_mask_ids
from avseg.io.image import open_image
from avseg.render.overlay import overlay
from avseg.render.report import Page

_WIDTH = 420
_BINS = 20
_WHAT = {
    "ss": "One object sounds in each picture; all other visible objects are silent.",
    "ms": "Objects of several classes sound in each picture; all other visible objects are silent.",
    "msmi": "Of several objects of one class one sounds, and only its position identifies it.",
}


def write_report(
    report: BuildReport,
    samples: Sequence[DrawnSample],
    positions: Mapping[str, Sequence[float]],
    seed: int,
    stereo: bool,
    options: BuildOptions,
) -> None:
    """Write `report.html` into the set's folder."""
    page = Page(FOLDERS[report.kind], f"{_WHAT[report.kind]} {_size(report, samples)} Seed {seed}.")
    page.heading("Sounding objects of each class").bars(SPLITS, _class_rows(samples))
    page.text(_evenness(samples))
    page.heading("Where they sound")
    page.text("Sounding objects by the position of their sound, from the left to the right border.")
    page.columns(_histogram(positions), "0 (left)", "1 (right)")
    how = "in stereo, each source at its place" if stereo else "in mono"
    page.heading("Samples").text(
        f"Sounding objects are painted. Each player has the three seconds of sound of its picture, {how}."
    )
    page.listen([_shown(report, sample, positions[sample.id], stereo) for sample in _chosen(samples, seed, options)])
    page.heading("Numbers").table(("split", "samples", "pictures", "sounds"), _numbers(samples))
    if report.notes or report.left_out:
        page.heading("Notes")
        for note in report.notes:
            page.text(note)
        for name, reason in report.left_out[:50]:
            page.text(f"Left out **{name}**: {reason}")
    page.write(report.folder / "report.html")


def _size(report: BuildReport, samples: Sequence[DrawnSample]) -> str:
    total = sum(report.samples.values())
    borrowed = total - len(samples)
    of_ms = f", {borrowed} of them with one object of each class from VPO-MS (not on this page)" if borrowed else ""
    return f"{total} samples{of_ms}."


def _class_rows(samples: Sequence[DrawnSample]) -> list[tuple[str, list[int]]]:
    counts = Counter((s.instance.category, sample.split) for sample in samples for s in sample.sources)
    sums = {name: sum(counts[name, split] for split in SPLITS) for name, _ in counts}
    names = sorted(sums, key=lambda name: (-sums[name], name))  # a set has another order in every process
    return [(name, [counts[name, split] for split in SPLITS]) for name in names]


def _evenness(samples: Sequence[DrawnSample]) -> str:
    """How far the classes are apart, and how much is silent."""
    sums = {name: sum(counts) for name, counts in _class_rows(samples)}
    most, least = max(sums, key=lambda name: sums[name]), min(sums, key=lambda name: sums[name])
    silent = sum(len(sample.silent) for sample in samples)
    return (
        f"The largest class, {most}, has {sums[most] / sums[least]:.1f} times the objects of the smallest, {least}; "
        f"a cap evens them out. Beside {sum(sums.values())} sounding objects, {silent} that could sound are silent."
    )


def _histogram(positions: Mapping[str, Sequence[float]]) -> list[int]:
    values = [position for group in positions.values() for position in group]
    counts, _ = np.histogram(values, _BINS, (0, 1))
    return [int(count) for count in counts]


def _numbers(samples: Sequence[DrawnSample]) -> list[tuple[str, int, int, int]]:
    rows = []
    for split in SPLITS:
        own = [sample for sample in samples if sample.split == split]
        pictures = {sample.picture.id for sample in own}
        sounds = {source.sound.stem for sample in own for source in sample.sources}
        rows.append((split, len(own), len(pictures), len(sounds)))
    return rows


def _chosen(samples: Sequence[DrawnSample], seed: int, options: BuildOptions) -> list[DrawnSample]:
    return sorted(samples, key=lambda sample: rank(seed, "shown", sample.id))[: options.examples]


def _shown(
    report: BuildReport, sample: DrawnSample, positions: Sequence[float], stereo: bool
) -> tuple[NDArray[np.uint8], str, str, bytes]:
    """A sample's picture with its mask, what it shows in words, and its sound."""
    picture, labels = (open_image(report.folder / place) for place in picture_place(report.kind, sample))
    size = (_WIDTH, round(_WIDTH * picture.height / picture.width))
    names = {number: name for number, name in zip(vpo_mask_ids(), vpo_classes(), strict=True) if number}
    painted = overlay(
        np.array(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)),
        np.array(labels.resize(size, Image.Resampling.NEAREST)),
        names,
    )
    lines = [
        f"**{source.instance.category}** at {position:.2f}: {source.sound.label} ({source.sound.stem})"
        for source, position in zip(sample.sources, positions, strict=True)
    ]
    silent = ", ".join(f"{instance.category} at {instance.position:.2f}" for instance in sample.silent)
    caption = "\n".join([*lines, *([f"silent: {silent}"] if silent else []), f"{sample.split}, {sample.id}"])
    words = f"sample {sample.id}: " + " and ".join(source.instance.category for source in sample.sources)
    files = [report.out / SOUNDS / f"{source.sound.stem}.wav" for source in sample.sources]
    return painted, words, caption, _wav(mix(files, positions, stereo))


def _wav(sound: Tensor) -> bytes:
    """(A, S) as a WAV file; a sum that is too loud is turned down for listening."""
    from scipy.io import wavfile

    loud = sound / max(1.0, float(sound.abs().max()))
    buffer = io.BytesIO()
    wavfile.write(buffer, SAMPLE_RATE, (loud.T * 32767).round().short().numpy())
    return buffer.getvalue()
