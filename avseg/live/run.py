"""`avseg live`: a stream to a page, to a file, or to both, until it ends or somebody stops it."""

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
    """Mask a stream until it ends, `seconds` are over, or Ctrl-C or SIGTERM comes; the figures at the end,
    and under `stopped` whether somebody stopped it.

    Args:
        segmenter: whose model sees single pictures or a few at a time.
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
            log.info("look at %s", page.address)
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
    """What the page shows of a stream."""
    return {**stream.figures.to_dict(), "state": stream.state, "good": stream.is_open}


class _Stopped(BaseException):
    """Somebody wants the loop to end."""


class _Stop:
    """Ctrl-C and SIGTERM: at once while the model works or waits, and after what is being written otherwise."""

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
        """The next picture; None: the stream has ended, or somebody wants it to."""
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
