"""What can be written of a video beside its result.json: one line a kind. Imports no torch."""

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
"""What the command line writes where `--save` is not given."""
GATHERED = "dataset:"
"""Begins the names of kinds that gather the videos of a run as a data set."""


@dataclass(frozen=True)
class Kind:
    """An output that may be asked for by name."""

    what: str
    """For help pages, in a few words."""
    noun: str
    """In sentences: "no ... could be written"."""
    file: str
    """What is there where it was written, relative to the result's folder; `{name}` is the name of that folder."""
    address: str
    """"module:attribute" of what makes its writer (`avseg.inference.export.writer.Maker`), or of a data set's
    `avseg.prepare.pseudo.PseudoLayout`; empty for masks, which result.json describes."""

    def path(self, name: str) -> str:
        """`file` of the result in a folder called `name`."""
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
        "the video with what is silent transparent, as ProRes 4444 for editing",
        "video with alpha",
        "alpha.mov",
        f"{_ALPHA}:MovWriter",
    ),
    "alpha:webm": Kind(
        "the video with what is silent transparent, as VP9 for web pages",
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
        "a table of who sounds in every second, how surely and how large",
        "table",
        "seconds.csv",
        "avseg.inference.export.seconds:SecondsTableWriter",
    ),
    "srt": Kind("subtitles of who sounds, as SubRip", "subtitles", "sounding.srt", f"{_MARKS}:SrtWriter"),
    "vtt": Kind("subtitles of who sounds, as WebVTT", "subtitles", "sounding.vtt", f"{_MARKS}:VttWriter"),
    "eaf": Kind("annotations of who sounds when, for ELAN", "annotations", "sounding.eaf", f"{_MARKS}:ElanWriter"),
    "coco": Kind("all masks in the form of COCO", "COCO file", "coco.json", "avseg.inference.export.coco:CocoWriter"),
    "youtube_vis": Kind(
        "every object through the video in the form of YouTube-VIS",
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
    "audacity": Kind("labels of who sounds when, for Audacity", "labels", "labels.txt", f"{_MARKS}:AudacityWriter"),
}


def kinds() -> dict[str, Kind]:
    """All kinds by name; each data set that can be gathered has one."""
    found = dict(_OWN)
    for name in DATASETS:
        with suppress(ValueError):  # a plug-in that cannot be imported is told of where it is wanted
            if gather := DATASETS[name].gather:
                what = f"all videos of the run as a data set {name} with the masks as its truth"
                file = f"../dataset_{name}/videos/{{name}}.json"
                found[f"{GATHERED}{name}"] = Kind(what, f"clips of the data set {name}", file, gather)
    return found


OverlayChoice: TypeAlias = bool | Style | None
"""Whether overlay.mp4 is written; None and a `Style`, which says how masks are painted: as the list of kinds says."""
MaskChoice: TypeAlias = "MaskKind | Literal['usual'] | None"
"""`usual`: PNG where masks are among what is saved; None: none, whatever is saved."""


@dataclass(frozen=True)
class Chosen:
    """What is written of each video."""

    masks: MaskKind | None
    more: tuple[str, ...]
    """Names of the other kinds, the overlay among them."""
    style: Style = PLAIN


def choose(save: Sequence[str], overlay: OverlayChoice = None, masks: MaskChoice = "usual") -> Chosen:
    """What `save` names, unless `overlay` or `masks` say otherwise.

    Args:
        save: names of kinds.
        overlay: None and a `Style`: as `save` says.
        masks: their form.

    Raises:
        ValueError: a kind that there is not, with the nearest name; another form of masks or overlay.
    """
    if isinstance(save, str):
        raise ValueError(f"save is {save!r}, wanted a list of names: [{save!r}]")
    known = kinds()
    for name in save:
        if name not in known:
            raise ValueError(f"no kind of output is called {name!r}; {did_you_mean(name, known)}")
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
