"""The page of the demo: scores, one picture under eight soundtracks, and pictures with ground truth and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.demo.listening import PROTOCOLS, SOUNDS, Answer
from avseg.nn.mel import LogMel
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.render.report import Page
from avseg.render.spectrum import paint_log_mel
from avseg.synth.world import TASKS
from avseg.types import Clip, DensePrediction, DenseTarget

Picture = NDArray[np.uint8]
Scores = Mapping[str, Mapping[str, float]]
TASK = TASKS["semantic"]
_FIGURES = [(protocol, name) for protocol in PROTOCOLS for name in ("J", "F")]
SCORE_COLUMNS = ("", *(f"{name} ({protocol})" for protocol, name in _FIGURES), "J_sounding (repaired)")
NAMES = dict(enumerate(TASK.classes, start=1))
_GAP = 6
_SPECTRUM = 56
"""Height in pixels of a spectrum under a picture."""


def score_rows(found: Scores) -> list[list[str | float]]:
    """Return a row per sound: its name, J and F of every protocol, and J_sounding."""
    rows: list[list[str | float]] = []
    for sound in SOUNDS:
        figures = found[sound]
        plain = [figures[f"{protocol}/{name}"] for protocol, name in _FIGURES]
        rows.append([f"{sound} sound", *plain, figures["repaired/J_sounding"]])
    return rows


def write_page(
    path: Path,
    found: tuple[int, Scores],
    answers: Sequence[Answer],
    rows: Sequence[tuple[Clip, Sequence[DensePrediction]]],
    video: Path,
) -> Path:
    """Write the page, which shows `video` from the same folder.

    Args:
        path: of the HTML file.
        found: number of clips, and what `listening.scores` gives for them.
        answers: to the eight soundtracks.
        rows: clips with truth, and what was predicted for each with its own, swapped and muted sound.
        video: the overlay, in the folder of `path`.
    """
    clips, figures = found
    page = Page(
        "What is sounding here?",
        "A small model marks the objects that make the sound. It was trained on clips of a synthetic world (avseg "
        "train demo); the clips on this page were not used in training.",
    )
    page.heading("The same picture under eight soundtracks")
    hits = sum(answer.fits for answer in answers)
    page.text(
        f"One picture, eight sounds: **{hits} of {len(answers)}** times the marked "
        "object is the one that sounds. Under each "
        "picture is the spectrogram of the sound, from 125 Hz (bottom) to 7500 Hz."
    )
    page.gallery([_answer_tile(answer) for answer in answers], tile=220)
    page.heading("A film").video(video, "a film with its sounding objects painted in", _FILM_CAPTION, embed=False)
    page.heading("Figures")
    page.table(
        SCORE_COLUMNS, score_rows(figures), f"J and F of the sounding objects in {clips} held-out clips, by protocol."
    )
    page.text(
        "Swapped: every clip gets the sound of another one. Muted: silence. "
        "The ground truth is still that of the clip's "
        "own sound, so the scores of a model that ignores the sound would not drop."
    )
    page.heading("Pictures and ground truth")
    page.text(
        "From left to right: picture, ground truth, then the predictions with its "
        "**own** sound, a **swapped** one and **no** sound."
    )
    page.gallery([_row(clip, predictions) for clip, predictions in rows], tile=640)
    return page.write(path)


_FILM_CAPTION = "Each object sounds alone for two seconds, then two of them together. Play it with sound."


def _answer_tile(answer: Answer) -> tuple[Picture, str, str]:
    painted = overlay(answer.clip.frames[0], answer.labels, NAMES, palette(TASK))
    tile = np.concatenate([painted, spectrum(answer.clip.audio, painted.shape[1])])
    says = f"marks the {answer.marked}" if answer.marked else "marks no single object"
    caption = f"The **{answer.wanted}** sounds, the model {says} (IoU {answer.iou:.2f})"
    return tile, f"eight objects; the {answer.wanted} sounds and the model {says}", caption


def spectrum(audio: NDArray[np.float32], width: int) -> Picture:
    """(A, S) sound at 16 kHz as a log-mel picture (56, width, 3), low below, dark to bright."""
    mel = LogMel()(torch.from_numpy(audio).mean(0, keepdim=True))[0, 0].numpy()  # (L, 64)
    return paint_log_mel(mel, (_SPECTRUM, width))


def _row(clip: Clip, predictions: Sequence[DensePrediction]) -> tuple[Picture, str, str]:
    """Return the frame with the largest sounding area."""
    assert isinstance(clip.target, DenseTarget)
    t = int((clip.target.labels > 0).sum((1, 2)).argmax())
    picture = clip.frames[t].permute(1, 2, 0).numpy()
    maps = [labels.cpu().numpy() for labels in (clip.target.labels[t], *(each.labels(t) for each in predictions))]
    painted = [overlay(picture, labels, NAMES, palette(TASK)) for labels in maps]
    gap = np.full((picture.shape[0], _GAP, 3), 255, np.uint8)
    tiles = [part for tile in [picture, *painted] for part in (tile, gap)][:-1]
    heard = ", ".join(NAMES[i] for i in np.unique(maps[0]).tolist() if i) or "nothing in sight"
    caption = f"{clip.id}, second {t}: {heard}"
    return np.concatenate(tiles, axis=1), f"picture, truth and three predictions; sounding: {heard}", caption
