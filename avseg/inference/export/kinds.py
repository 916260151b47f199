"""The kinds of output for a video in addition to result.json, one line per kind. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from avseg.config import did_you_mean
from avseg.datasets import DATASETS
from avseg.inference.export.style import PLAIN, Style

if TYPE_CHECKING:
    from avseg.inference.records import MaskKind

MASK_FORMS = ("png", "rle", "npz")
USUAL = ("overlay", "masks")
"""Outputs of the command line without `--save`."""
GATHERED = "dataset:"
"""Prefix of the kinds that collect the videos of a run as a data set."""


@dataclass(frozen=True)
class Kind:
    """A kind of output."""

    what: str
    """A short description for help pages."""
    noun: str
    """Its noun in messages: "no ... could be written"."""
    file: str
    """Path of the output relative to the result's folder; `{name}` is the name of that folder."""
    address: str
    """"module:attribute" of the maker of its writer (`avseg.inference.export.writer.Maker`), or of a data set's
    `avseg.prepare.pseudo.PseudoLayout`; empty for masks, which result.json describes."""

    def path(self, name: str) -> str:
        """Return `file` for a result in a folder called `name`."""
        return self.file.replace("{name}", name)


_ALPHA = "avseg.inference.export.alpha"
_MARKS = "avseg.inference.export.marks"
_OWN = {
    "overlay": Kind(
        "the video with the masks painted in",
        "overlay",
        "overlay.mp4",
        "avseg.inference.export.overlay:OverlayWriter",
    ),
    "masks": Kind("the masks, as PNG unless --masks says otherwise", "masks", "masks", ""),
    "explain": Kind(
        "a page with the sound, what is heard when, and what was found",
        "page",
        "explain.html",
        "avseg.inference.export.explain:ExplainWriter",
    ),
    "alpha:mov": Kind(
        "the video with silent regions transparent, as ProRes 4444 for editing",
        "video with alpha",
        "alpha.mov",
        f"{_ALPHA}:MovWriter",
    ),
    "alpha:webm": Kind(
        "the video with silent regions transparent, as VP9 for web pages",
        "video with alpha",
        "alpha.webm",
        f"{_ALPHA}:WebmWriter",
    ),
    "cutouts": Kind(
        "the best picture of each object alone, as PNG with alpha",
        "cut-outs",
        "cutouts",
        "avseg.inference.export.cutouts:CutoutWriter",
    ),
    "sheet": Kind(
        "a contact sheet of pictures with their masks",
        "contact sheet",
        "sheet.jpg",
        "avseg.inference.export.contact:SheetWriter",
    ),
    "report": Kind(
        "a page with player, timeline, spectrogram, pictures and table",
        "report",
        "report.html",
        "avseg.inference.export.report:ReportWriter",
    ),
    "csv": Kind(
        "a table of the sounding objects in every second, with score and area",
        "table",
        "seconds.csv",
        "avseg.inference.export.seconds:SecondsTableWriter",
    ),
    "srt": Kind(
        "subtitles that name the sounding objects, as SubRip", "subtitles", "sounding.srt", f"{_MARKS}:SrtWriter"
    ),
    "vtt": Kind(
        "subtitles that name the sounding objects, as WebVTT", "subtitles", "sounding.vtt", f"{_MARKS}:VttWriter"
    ),
    "eaf": Kind(
        "annotations of when each object sounds, for ELAN", "annotations", "sounding.eaf", f"{_MARKS}:ElanWriter"
    ),
    "coco": Kind("all masks in the COCO format", "COCO file", "coco.json", "avseg.inference.export.coco:CocoWriter"),
    "youtube_vis": Kind(
        "every object through the video in the YouTube-VIS format",
        "YouTube-VIS file",
        "youtube_vis.json",
        "avseg.inference.export.vis:VisWriter",
    ),
    "cvat": Kind(
        "all masks for CVAT (CVAT for images 1.1)", "CVAT file", "cvat.xml", "avseg.inference.export.cvat:CvatWriter"
    ),
    "label_studio": Kind(
        "pictures and tasks with masks for Label Studio",
        "tasks for Label Studio",
        "label_studio",
        "avseg.inference.export.label_studio:LabelStudioWriter",
    ),
    "audacity": Kind(
        "labels of when each object sounds, for Audacity", "labels", "labels.txt", f"{_MARKS}:AudacityWriter"
    ),
}


def kinds() -> dict[str, Kind]:
    """Return all kinds by name, including one for each data set that can be collected."""
    found = dict(_OWN)
    for name in DATASETS:
        with suppress(ValueError):  # a plug-in that cannot be imported is told of where it is wanted
            if gather := DATASETS[name].gather:
                what = f"all videos of the run as a data set {name} with the masks as ground truth"
                file = f"../dataset_{name}/videos/{{name}}.json"
                found[f"{GATHERED}{name}"] = Kind(what, f"clips of the data set {name}", file, gather)
    return found


OverlayChoice: TypeAlias = bool | Style | None
"""Whether to write overlay.mp4; with None or a `Style` of the masks, the list of kinds decides."""
MaskChoice: TypeAlias = "MaskKind | Literal['usual'] | None"
"""`usual`: PNG if masks are among the kinds; None: no masks."""


@dataclass(frozen=True)
class Chosen:
    """The files to write for each video."""

    masks: MaskKind | None
    more: tuple[str, ...]
    """Names of the other kinds, including the overlay."""
    style: Style = PLAIN


def choose(save: Sequence[str], overlay: OverlayChoice = None, masks: MaskChoice = "usual") -> Chosen:
    """Return the kinds in `save`, overridden by `overlay` and `masks`.

    Args:
        save: names of kinds.
        overlay: None and a `Style`: as `save` says.
        masks: their form.

    Raises:
        ValueError: for an unknown kind, with the nearest name, or an invalid `masks` or `overlay`.
    """
    if isinstance(save, str):
        raise ValueError(f"save is {save!r}, wanted a list of names: [{save!r}]")
    known = kinds()
    for name in save:
        if name not in known:
            raise ValueError(f"there is no kind of output {name!r}; {did_you_mean(name, known)}")
    if masks not in (None, "usual", *MASK_FORMS):
        raise ValueError(f"masks is {masks!r}, wanted one of {', '.join(MASK_FORMS)}, usual, or None for no masks")
    if not (overlay is None or isinstance(overlay, (bool, Style))):
        raise ValueError(f"overlay is {overlay!r}, wanted True, False, None or a Style")
    style = overlay if isinstance(overlay, Style) else PLAIN
    overlay = overlay if isinstance(overlay, bool) else None
    more = [name for name in dict.fromkeys(save) if name not in USUAL]
    if overlay or (overlay is None and "overlay" in save):
        more.insert(0, "overlay")
    if masks == "usual":
        return Chosen("png" if "masks" in save else None, tuple(more), style)
    return Chosen(masks, tuple(more), style)
