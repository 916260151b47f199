"""`avseg demo`: make, segment and score held-out clips; write a film with its overlay and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from avseg.demo import MODEL_FILE
from avseg.demo.film import write_film
from avseg.demo.listening import HELD_OUT_SEED, SOUNDS, Answer, HeldOut, eight_soundtracks, predict, scores
from avseg.demo.page import SCORE_COLUMNS, Scores, score_rows, write_page
from avseg.device import find_device, one_thread
from avseg.inference.segmenter import Segmenter
from avseg.io.files import clear_stale, write_text
from avseg.models import load_model

FORMAT_VERSION = 1
FILM_FPS = 5.0
"""Masks per second of the film."""
SHOWN = 4
"""Clips on the page."""


def run_demo(out: Path, *, clips: int = 40, device: str = "auto") -> int:
    """Run the bundled model offline on made-up clips; docs/get-started/demo.md describes the files it writes.

    Args:
        out: folder for index.html, overlay.mp4, scene.mp4 and scores.json.
        clips: held-out clips that are scored.
        device: auto, cpu, cuda, cuda:1, mps.

    Returns:
        0.

    Raises:
        ValueError: fewer than two clips, or a device that is not there.
        OSError: a folder that cannot be written to.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    clear_stale(out)
    with one_thread():  # in a network this small several wait for each other longer than they work
        _run(out, clips, find_device(device))
    return 0


def _run(out: Path, clips: int, place: torch.device) -> None:
    model = load_model(MODEL_FILE, device=str(place))
    held_out = HeldOut(clips)
    found = scores(model, held_out, str(place))
    answers = eight_soundtracks(model)
    film = write_film(out / "scene.mp4", HELD_OUT_SEED)
    overlay = Segmenter(model, fps=FILM_FPS, device=str(place)).predict(film).save_video(out / "overlay.mp4")
    shown = [held_out.heard(sound) for sound in SOUNDS]
    rows = [(held_out[i], [predict(model, [heard[i]])[0] for heard in shown]) for i in range(min(SHOWN, clips))]
    page = write_page(out / "index.html", (clips, found), answers, rows, overlay)
    write_text(out / "scores.json", json.dumps(summary(clips, found, answers), indent=2) + "\n")
    _show(clips, found, answers, page)


def summary(clips: int, found: Scores, answers: Sequence[Answer]) -> dict[str, object]:
    """Return the content of scores.json."""
    return {
        "format_version": FORMAT_VERSION,
        "suite": "avsbench_object",
        "clips": clips,
        "seed": HELD_OUT_SEED,
        "difficulty": "standard",
        "scores": {sound: dict(figures) for sound, figures in found.items()},
        "eight_soundtracks": {
            "fitting": sum(answer.fits for answer in answers),
            "of": len(answers),
            "answers": [
                {"sounding": answer.wanted, "marked": answer.marked, "iou": round(answer.iou, 4)} for answer in answers
            ],
        },
    }


def _show(clips: int, found: Scores, answers: Sequence[Answer], page: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{clips} held-out clips of the synthetic world", title_justify="left", box=None, pad_edge=False
    )
    for number, column in enumerate(SCORE_COLUMNS):
        table.add_column(column.replace(" (", "\n("), justify="right" if number else "left", no_wrap=not number)
    for row in score_rows(found):
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row))
    console = Console()
    console.print(table)
    fitting = sum(answer.fits for answer in answers)
    console.print(
        f"One picture under eight soundtracks: the sounding object is marked {fitting} of {len(answers)} times."
    )
    console.print(f"Open the page: {page}", soft_wrap=True)
