"""The page in Gradio: its inputs, outputs and events."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from avseg.inference.export.files import OVERLAY_NAME
from avseg.jobs import JobError, JobStopped, Limits, Order, WorkerDied
from avseg.jobs.limits import MEGABYTE
from avseg.ui.desk import Desk, Finished
from avseg.ui.files import choices, is_made, packed
from avseg.ui.films import FILMS, film
from avseg.ui.offers import Offer
from avseg.ui.parts import Pace, Shown, bar, notice
from avseg.ui.script import INPUT, PLAYER

log = logging.getLogger(__name__)

SAVED = ("overlay", "masks", "cutouts")
"""Outputs that are always written: the player's video, the source of all other kinds, and pictures of objects."""
SLOWEST, FASTEST = 0.001, 60.0
"""Allowed masks per second."""
LONGEST_WORDS = 2000
"""Largest number of characters of classes and of vocabulary."""
_WORDS = re.compile(r"[\w ,'’&()+-]*")
"""Characters allowed in names; they exclude paths, which the same option accepts on the command line."""
HEAD = """<div class="avseg-head"><h1>What sounds in this video?</h1>
<p>Drop a video. avseg marks the pixels of the objects that make its sound and shows when each one sounds.</p></div>"""
EMPTY = '<div class="avseg-empty">The result appears here: the video with its masks, and when each object sounds.</div>'
EXAMPLES = '<div class="avseg-soft">No video? Try a synthetic film:</div>'

Changes: TypeAlias = dict[Any, Any]
"""New values of components."""


class VideoPage:
    """Builds the page and handles its events."""

    def __init__(self, desk: Desk, offers: Sequence[Offer], limits: Limits, examples: Path) -> None:
        """
        Args:
            desk: runs the work.
            offers: models to choose, the first of them chosen.
            limits: limits shown next to the upload.
            examples: folder of the films.
        """
        self._desk, self._offers, self._examples = desk, {offer.source: offer for offer in offers}, examples
        self._limits = limits
        self._refused: set[str] = set()
        """Pages whose last video was refused; the message stays when the video is removed."""

    def blocks(self) -> gr.Blocks:
        """Build all components and events."""
        with gr.Blocks(title="avseg", analytics_enabled=False, fill_width=True) as blocks:
            gr.HTML(HEAD)
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    self._build_input()
                with gr.Column(scale=7, min_width=320):
                    self._build_result()
            self._connect(blocks)
        return blocks

    def _build_input(self) -> None:
        size = {"width": {"ideal": 1280}, "height": {"ideal": 720}}
        camera = gr.WebcamOptions(mirror=False, constraints={"video": size, "audio": True})
        self.video = gr.Video(
            label="Video",
            sources=["upload", "webcam"],
            include_audio=True,
            webcam_options=camera,
            elem_id=INPUT,
        )
        self.note = gr.HTML(self._hint)
        gr.HTML(EXAMPLES)
        with gr.Row():
            self.films = [gr.Button(words, size="sm", min_width=120) for words in FILMS]
        first = next(iter(self._offers.values()))
        listed = [(offer.label, offer.source) for offer in self._offers.values()]
        self.model = gr.Dropdown(listed, value=first.source, label="Model", filterable=False)
        with gr.Accordion("More choices", open=False):
            with gr.Row():
                # Texts: an empty gr.Number becomes 0 as soon as it is in sight (findings/gradio-empty-number.sh).
                self.fps = _field("Masks per second", "the model's own")
                self.threshold = _field("Lowest score, 0 to 1", "the model's own")
            self.classes = _field("Only these classes", _classes_of(first))
            self.words = _field("Vocabulary", "dog, guitar (empty: the default vocabulary)", first.takes_words)
        with gr.Row():
            self.run = gr.Button("Segment", variant="primary", interactive=False, min_width=120, elem_id="avseg-run")
            self.cancel = gr.Button("Cancel", variant="stop", interactive=False, min_width=120, elem_id="avseg-cancel")
        self.state = gr.HTML(elem_id="avseg-state")

    def _build_result(self) -> None:
        self.empty = gr.HTML(EMPTY)
        with gr.Column(visible=False, elem_id="avseg-result") as self.result:
            self.told = gr.HTML()
            self.player = gr.Video(label="Overlay", interactive=False, elem_id=PLAYER, buttons=[])
            self.timeline = gr.HTML()
            self.objects = gr.HTML()
            with gr.Row(equal_height=True):
                self.kind = gr.Dropdown(choices(), value="report", label="Get a file", scale=3, elem_id="avseg-kind")
                self.make = gr.Button("Make it", scale=1, min_width=100, elem_id="avseg-make")
            self.making = gr.HTML()
            self.file = gr.DownloadButton(visible=False, variant="primary", elem_id="avseg-file")

    def _connect(self, blocks: gr.Blocks) -> None:
        quiet: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": None,
        }
        chosen = [self.video, self.note, self.run, self.empty, self.result]
        self.video.change(self.on_video, [self.video], chosen, **quiet)
        for button, words in zip(self.films, FILMS, strict=True):
            button.click(partial(self.on_film, words), None, [self.video, self.note], **quiet)
        self.model.change(self.on_model, [self.model], [self.classes, self.words], **quiet)
        asked = [self.video, self.model, self.fps, self.threshold, self.classes, self.words]
        shown = [
            self.empty,
            self.result,
            self.told,
            self.player,
            self.timeline,
            self.objects,
            self.kind,
            self.file,
            self.making,
        ]
        buttons = [self.run, self.cancel, self.make]
        self.run.click(self.on_run, asked, [self.state, *buttons, *shown], **quiet)
        self.make.click(self.on_make, [self.kind], [self.making, self.file, *buttons], **quiet)
        self.kind.change(lambda: _NOTHING_MADE, None, [self.making, self.file], **quiet)
        self.cancel.click(self.on_cancel, None, None, **quiet)
        blocks.unload(self.on_leave)

    @property
    def _hint(self) -> str:
        limits = self._limits
        longest = f"{limits.seconds:g} s" if limits.seconds < 120 else f"{limits.seconds / 60:.3g} min"
        return notice(
            f"Any video with sound, up to {limits.bytes / MEGABYTE:g} MB and {longest}. Its file is deleted when you "
            "choose another one or close this page."
        )

    def on_film(self, words: str) -> tuple[str, str]:
        """Handle a click on an example."""
        return str(film(self._examples, words)), self._hint

    def on_video(self, video: str | None, request: gr.Request) -> Changes:
        """Handle an uploaded, recorded or removed video."""
        visitor = str(request.session_hash)
        try:
            gone = self._emptied() if self._desk.take(visitor, Path(video) if video else None) else {}
        except JobError as error:
            self._refused.add(visitor)
            told = {self.video: None, self.note: notice(str(error), "fault"), self.run: gr.Button(interactive=False)}
            return {**told, **self._emptied()}
        said: Any = self._hint
        if video is not None:
            said = notice(f"{Path(video).name} is uploaded. Even if your browser cannot play it, the result will play.")
        elif visitor in self._refused:
            said = gr.skip()
        self._refused.discard(visitor)
        return {self.note: said, self.run: gr.Button(interactive=video is not None), **gone}

    def on_model(self, model: str) -> Changes:
        """Handle the choice of a model."""
        offer = self._offers[model]
        return {
            self.classes: gr.Textbox(placeholder=_classes_of(offer)),
            self.words: gr.Textbox(visible=offer.takes_words),
        }

    def on_run(
        self,
        video: str | None,
        model: str,
        fps: str,
        threshold: str,
        classes: str,
        words: str,
        request: gr.Request,
    ) -> Iterator[Changes]:
        """Segment: show the progress, then the result."""
        yield {**self._busy(True), self.state: bar("Asked ...", None), **self._emptied()}
        told: Changes = {}
        try:
            order = self._order(video, model, (fps, threshold), (classes, words))
            pace, visitor = Pace(), str(request.session_hash)
            for moment in self._desk.predict(visitor, order):
                told = self._result(moment, visitor) if isinstance(moment, Finished) else {}
                yield {self.state: pace.html(moment), **told}
        except Exception as error:  # noqa: BLE001  it is logged, and the page must not stay busy for ever
            told = {self.state: _said(error)}
        yield {**self._busy(False), **told}

    def _order(self, video: str | None, model: str, numbers: tuple[str, str], texts: tuple[str, str]) -> Order:
        """
        Raises:
            JobError: no video, or words or numbers that are none.
        """
        if not video:
            raise JobError("there is no video yet; upload or record one, or use an example")
        for text in texts:
            if not _WORDS.fullmatch(text or ""):
                raise JobError(f"{text!r} is not a list of names; separate words with commas")
        classes, words = ((text or "").strip() or None for text in texts)
        known = self._offers[model].takes_words and words is not None
        return Order(
            model=model,
            video=Path(video),
            out=Path(),
            save=SAVED,
            fps=_number_in(numbers[0], "masks per second", FASTEST, SLOWEST),
            threshold=_number_in(numbers[1], "least score", 1),
            classes=classes,
            choices={"vocabulary": f"{words},"} if known else {},  # with a comma no word is read as a file of ours
        )

    def _result(self, moment: Finished, visitor: str) -> Changes:
        shown = Shown(moment.folder)
        overlay = moment.folder / OVERLAY_NAME
        listed = choices(moment.folder)
        return {
            self.empty: gr.HTML(visible=False),
            self.result: gr.Column(visible=True),
            self.told: shown.sentence() + "".join(map(notice, moment.notes)),
            self.player: gr.Video(value=str(overlay) if overlay.is_file() else None),
            self.timeline: shown.timeline(),
            self.objects: shown.objects(),
            self.kind: gr.Dropdown(choices=listed),
            **dict(zip((self.making, self.file), _NOTHING_MADE, strict=True)),
        }

    def on_make(self, kind: str, request: gr.Request) -> Iterator[Changes]:
        """Make a requested file and offer it for download."""
        visitor, pace = str(request.session_hash), Pace()
        yield {**self._busy(True), self.making: bar("Asked ...", None), self.file: gr.DownloadButton(visible=False)}
        try:
            folder, shelf, name = self._held(visitor)
            if not is_made(folder, kind):
                for moment in self._desk.add(visitor, kind):
                    yield {self.making: pace.html(moment)}
            path = packed(folder, shelf, kind, name)
            button = gr.DownloadButton(f"Download {path.name}", value=str(path), visible=True)
            told: Changes = {self.making: "", self.file: button}
        except Exception as error:  # noqa: BLE001  the same
            told = {self.making: _said(error)}
        yield {**self._busy(False), **told}

    def _held(self, visitor: str) -> tuple[Path, Path, str]:
        """Return the folder of the result, the shelf, and the video's name.

        Raises:
            JobError: there is no result any more.
        """
        visit = self._desk.visit(visitor)
        if visit.order is None or visit.shelf is None or visit.folder is None or not visit.folder.is_dir():
            raise JobError("the result is no longer here; segment the video again")
        return visit.folder, visit.shelf, visit.order.video.name

    def on_cancel(self, request: gr.Request) -> None:
        """Stop the work; the progress display reports it."""
        self._desk.stop(str(request.session_hash))

    def on_leave(self, request: gr.Request) -> None:
        """Handle a closed or reloaded page."""
        self._refused.discard(str(request.session_hash))
        self._desk.leave(str(request.session_hash))

    def _emptied(self) -> Changes:
        return {self.result: gr.Column(visible=False), self.empty: gr.HTML(visible=True)}

    def _busy(self, busy: bool) -> Changes:
        return {
            self.run: gr.Button(interactive=not busy),
            self.make: gr.Button(interactive=not busy),
            self.cancel: gr.Button(interactive=busy),
        }


_NOTHING_MADE = ("", gr.DownloadButton(visible=False))


def _field(label: str, placeholder: str, visible: bool = True) -> gr.Textbox:
    return gr.Textbox(label=label, placeholder=placeholder, max_length=LONGEST_WORDS, visible=visible, min_width=120)


def _number_in(text: str | None, what: str, most: float, least: float = 0.0) -> float | None:
    """Return a number above 0, from `least` up to `most`; None for an empty field.

    Raises:
        JobError: no such number.
    """
    if not text or not text.strip():
        return None
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        number = math.nan
    if not 0 < number <= most or number < least:
        begin = f"from {least:g} to" if least else "above 0 and up to"
        raise JobError(f"{what} is {text.strip()!r}, wanted a number {begin} {most:g}, or nothing")
    return number


def _classes_of(offer: Offer) -> str:
    """Return the choices of the field of classes."""
    return ", ".join([*offer.classes[:4], *(["..."] if len(offer.classes) > 4 else [])]) or "all"


def _said(error: Exception) -> str:
    """Return the message of an error for the page."""
    if isinstance(error, JobStopped):
        return notice("cancelled")
    if isinstance(error, (JobError, WorkerDied, FileNotFoundError)):
        return notice(re.sub(r"^fps\b", "masks per second", str(error)), "fault")  # as the page calls it
    log.error("the page: %s", error, exc_info=error)
    return notice(f"unexpected {type(error).__name__}; see the log of the server", "fault")
