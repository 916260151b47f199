"""The page of a model with a codebook: which code fires when, beside what is heard, seen and marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avseg.render.palette import Colour, distinct_colours
from avseg.render.report import Cell, Page
from avseg.render.spectrum import paint_log_mel

Pictures = NDArray[np.uint8]
_SPECTRUM = (72, 96)
"""Height and width in pixels of the spectrum of one frame's sound."""
_LISTED = 20
"""Codes in the table of what they stand for."""


@dataclass(frozen=True, eq=False)
class CodedClip:
    """A clip and the codes that a model hears in it: T frames, N tokens."""

    id: str
    times: Sequence[float]
    """T in s, when the frames are shown."""
    marked: Pictures
    """(T, H, W, 3) frames with the model's masks painted in."""
    truth: Pictures | None
    """Return the pictures with the true masks, if known."""
    spectra: NDArray[np.float32] | None
    """(T, L, M) log-mel of what is heard with each frame; None where a clip came without sound of its own."""
    clip_codes: NDArray[np.int64]
    """(N,) of the whole clip."""
    frame_codes: NDArray[np.int64] | None
    """(T, N) of its frames; None of a model without local calibration."""
    sounding: Sequence[Sequence[str]] | None = None
    """T lists of the classes that sound, where they are known."""


def codes_page(name: str, clips: Sequence[CodedClip], figures: Sequence[Sequence[object]]) -> Page:
    """The page; `figures` are rows of (whose tokens, tokens, codes used, perplexity, its share of the codebook, share
    of the most frequent code)."""
    page = Page(
        f"Which code fires when: {name}",
        "What a clip sounds like becomes a few tokens, each replaced by the nearest entry of one codebook. One colour "
        "and number is one entry of it, on the whole page.",
    )
    page.heading("How the codebook is used")
    columns = ("", "tokens", "codes used", "perplexity", "of the codebook", "most frequent code")
    those = "one clip" if len(clips) == 1 else f"{len(clips)} clips"
    caption = f"In the {those} of this page. Perplexity: as many codes, used equally often, tell as much."
    page.table(columns, figures, caption)
    share = shared(clips)
    if share is not None:
        page.text(f"**{share:.0%}** of the frames' codes are among those of their own clip; the others are dashed.")
    _stands_for(page, clips)
    for clip in clips:
        _one_clip(page, clip)
    return page


def shared(clips: Iterable[CodedClip]) -> float | None:
    """Share of the frames' codes that their own clip has as well; None where frames have none."""
    found = [np.isin(c.frame_codes, c.clip_codes).ravel() for c in clips if c.frame_codes is not None]
    return float(np.concatenate(found).mean()) if found else None


def heard_with(clips: Iterable[CodedClip]) -> dict[int, Counter[str]]:
    """By code, how often each class sounded while it fired; codes of clips count where frames have none."""
    table: dict[int, Counter[str]] = {}
    for codes, names in _moments(clips):
        for code in codes:
            table.setdefault(code, Counter()).update(names)
    return table


def _moments(clips: Iterable[CodedClip]) -> Iterator[tuple[set[int], Sequence[str]]]:
    """The codes and the classes of every moment at which both are known."""
    for clip in clips:
        if clip.sounding is None:
            continue
        if clip.frame_codes is None:
            yield set(clip.clip_codes.tolist()), sorted({name for names in clip.sounding for name in names})
            continue
        for codes, names in zip(clip.frame_codes, clip.sounding, strict=True):
            yield set(codes.tolist()), names


def _stands_for(page: Page, clips: Sequence[CodedClip]) -> None:
    """A table of the most frequent codes, and of the class that is heard most while each fires."""
    clip_counts = Counter(code for clip in clips for code in clip.clip_codes.tolist())
    frame_counts = Counter(
        code for clip in clips if clip.frame_codes is not None for code in clip.frame_codes.ravel().tolist()
    )
    order = [code for code, _ in (clip_counts + frame_counts).most_common(_LISTED)]
    heard = heard_with(clips)
    columns = ["code", "in clips", "in frames"] + ["heard most with it", "share of what is heard with it"] * bool(heard)
    rows = []
    for code in order:
        best = heard.get(code, Counter()).most_common(1)
        words: list[object] = []
        if heard:
            words = [best[0][0], f"{best[0][1] / heard[code].total():.0%}"] if best else ["nothing", ""]
        rows.append([code, clip_counts[code], frame_counts[code], *words])
    page.heading("What codes stand for").table(columns, rows, f"The {len(rows)} most frequent codes.")


def _one_clip(page: Page, clip: CodedClip) -> None:
    columns = ["whole clip", *(f"{time:g} s" for time in clip.times)]
    rows = []
    if clip.spectra is not None:
        limits = (float(clip.spectra.min()), float(clip.spectra.max()))
        pictures = [paint_log_mel(part, _SPECTRUM, limits) for part in clip.spectra]
        rows.append(("heard", [Cell(), *_pictures(pictures, "spectrum of the sound", clip)]))
    if clip.sounding is not None:
        rows.append(("sounds", [Cell(), *(Cell(", ".join(names) or "nothing") for names in clip.sounding)]))
    rows += [_token_row(clip, place) for place in range(len(clip.clip_codes))]
    rows.append(("marked", [Cell(), *_pictures(clip.marked, "frame with the model's mask", clip)]))
    if clip.truth is not None:
        rows.append(("truth", [Cell(), *_pictures(clip.truth, "frame with the true mask", clip)]))
    page.heading(clip.id).timeline(columns, rows)


def _token_row(clip: CodedClip, place: int) -> tuple[str, list[Cell]]:
    own = set(clip.clip_codes.tolist())
    cells = [_chip(int(clip.clip_codes[place]), "of the whole clip")]
    if clip.frame_codes is not None:
        for time, code in zip(clip.times, clip.frame_codes[:, place].tolist(), strict=True):
            cells.append(_chip(code, f"at {time:g} s", marked=code not in own))
    return f"token {place + 1}", cells


def _chip(code: int, when: str, marked: bool = False) -> Cell:
    beside = ", which the whole clip has not" if marked else ""
    return Cell(str(code), _colour(code), marked, f"code {code} {when}{beside}")


def _colour(code: int) -> Colour:
    while len(_COLOURS) <= code:
        _COLOURS.extend(distinct_colours(2 * len(_COLOURS))[len(_COLOURS) :])
    return _COLOURS[code]


_COLOURS = distinct_colours(512)


def _pictures(pictures: Iterable[Pictures], what: str, clip: CodedClip) -> list[Cell]:
    return [Cell(f"{what} at {time:g} s", picture=picture) for picture, time in zip(pictures, clip.times, strict=True)]
