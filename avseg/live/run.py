"""`avseg live`: send a stream to a page, a file, or both, until it ends or is stopped."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from avseg.inference.segmenter import Segmenter
from avseg.live.inputs import Input
from avseg.live.page import LivePage
from avseg.live.reader import Patience
from avseg.live.recording import Recording
from avseg.live.stream import LiveFrame, LiveStream

log = logging.getLogger(__name__)


def run_live(
    segmenter: Segmenter,
    inputs: Sequence[Input],
    *,
    recording: Recording | None = None,
    port: int | None = None,
    patience: Patience = Patience(),
    seconds: float | None = None,
) -> dict[str, Any]:
    """Segment a stream until it ends, `seconds` are over, or Ctrl-C or SIGTERM.

    Returns the final figures, with `stopped` telling whether it was stopped.

    Args:
        segmenter: with a model of single frames or short blocks.
        inputs: what `inputs_of` gives.
        recording: the file to write.
        port: of the page on 127.0.0.1; None: no page.
        patience: about a source that is lost.
        seconds: how long it goes on after the first picture; None: to the end.

    Raises:
        MediaError: a source that cannot be opened, or that was lost and did not come back.
        ValueError: a model that needs a whole video, a port that cannot be had, a length that is none, or a recording
            that would replace its source.
    """
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds is {seconds:g}, wanted more than 0")
    if recording is not None and any(one.is_file and _is_same(one.address, recording.path) for one in inputs):
        raise ValueError(f"{recording.path} is the source itself; give --out another name")
    stream = LiveStream(segmenter, inputs, patience=patience, seconds=seconds, keeps_sound=recording is not None)
    with _Stop() as stop, ExitStack() as stack:
        page = None
        if port is not None:
            page = stack.enter_context(LivePage(port, lambda: told(stream)))
            log.info("open %s", page.address)
        if recording is not None:
            stack.callback(recording.close)
        stack.enter_context(stream)
        stack.enter_context(suppress(_Stopped))
        while (frame := stop.next_of(stream)) is not None:
            if page is not None:
                page.show(frame.painted)
            if recording is not None:
                recording.write(frame, stream.sound)
    return {**stream.figures.to_dict(), "stopped": stop.asked}


def _is_same(source: str, path: Path) -> bool:
    return path.exists() and path.samefile(source)


def told(stream: LiveStream) -> dict[str, Any]:
    """Return the figures for the page."""
    return {**stream.figures.to_dict(), "state": stream.state, "good": stream.is_open}


class _Stopped(BaseException):
    """Ends the loop."""


class _Stop:
    """Handles Ctrl-C and SIGTERM: ends at once while the model works or waits, otherwise after the current write."""

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def next_of(self, stream: LiveStream) -> LiveFrame | None:
        """Return the next picture; None if the stream has ended or was stopped."""
        try:
            self._at_once = True
            return None if self.asked else next(stream, None)
        finally:
            self._at_once = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._at_once:
            self._at_once = False
            raise _Stopped
