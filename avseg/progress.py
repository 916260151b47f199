"""Progress of long work: a bar with rate and remaining time on a terminal, about ten plain lines elsewhere.

    for clip in tracked(clips, "prepare s4", "clip"): ...

    with Progress(len(frames), "predict cat.mp4", "frame") as progress:
        for chunk in chunks(frames):
            progress.advance(len(chunk))

A progress inside another one has a bar below the other's while it lasts; on no terminal it is silent. Imports no torch.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")
LINES = 10
_open: list[Progress] = []
"""Active progress bars, the outermost first."""


def tracked(items: Iterable[Item], title: str, unit: str = "clip", total: int | None = None) -> Iterator[Item]:
    """`items` one by one, each counted once the caller asks for the next.

    Args:
        title: What is done, such as `prepare s4`.
        unit: What is counted, in the singular.
        total: How many items there are; by default the length of `items`, unknown where it has none.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(total, title, unit) as progress:
        for item in items:
            yield item
            progress.advance()


class Progress:
    """A context in which `advance` and `at` count.

    Args:
        total: How many units there are; None: unknown.
        title: What is done.
        unit: What is counted, in the singular.
        done: Units that were done before; rate and time left do not count them.
        quiet: Show nothing, as all processes but the first do.
        lines: Write lines where there is no terminal; without it the caller writes its own.
    """

    def __init__(
        self,
        total: int | None,
        title: str,
        unit: str = "clip",
        *,
        done: int = 0,
        quiet: bool = False,
        lines: bool = True,
    ) -> None:
        self.total, self.title, self.unit, self.done, self.quiet = total, title, unit, done, quiet
        self.first, self.began = done, time.monotonic()
        self.on_terminal = not quiet and is_terminal()
        self._screen: Any = None
        self._row: Any = None
        self._lines, self._silent = lines, True
        self._took = 0.0

    def __enter__(self) -> Progress:
        self.began = time.monotonic()
        self._silent = self.quiet or not self._lines or any(not outer.quiet for outer in _open)
        if self.on_terminal:
            outer = next((other._screen for other in _open if other._screen), None)
            self._screen = outer or _Screen()
            self._row = self._screen.add(self)
        _open.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _open.remove(self)
        if self._screen:
            if any(other._screen is self._screen for other in _open):
                self._screen.remove(self._row)
            else:
                self._screen.close()
            self._screen = None

    def advance(self, count: int = 1) -> None:
        """`count` more units are done."""
        self.at(self.done + count)

    def at(self, done: int) -> None:
        """`done` units are done, those before this run included."""
        before, self.done = self.done, done
        if self._screen:
            self._screen.update(self._row, done)
        elif not self._silent and not self.on_terminal and is_due(done, self.total, before):
            log.info("%s", self.sentence())

    def line(self, text: str) -> None:
        """Write a line of its own on stderr, above the bar where there is one."""
        if not self.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    @property
    def counted(self) -> str:
        """`20 of 100 clips`."""
        number = f"{self.done} of {self.total}" if self.total is not None else str(self.done)
        return f"{number} {self.unit}{'s' * ((self.total or self.done) != 1)}"

    @property
    def pace(self) -> str:
        """`3.4 clips/s, 24 s left`, or `in 30 s` at the end; empty where nothing is known yet."""
        seconds, new = time.monotonic() - self.began, self.done - self.first
        if self.total is not None and self.done >= self.total:
            self._took = self._took or seconds
            return f"in {in_words(self._took)}"
        if new <= 0 or seconds <= 0:
            return ""
        rate = rate_in_words(new / seconds, self.unit)
        return rate if self.total is None else f"{rate}, {in_words((self.total - self.done) * seconds / new)} left"

    def sentence(self) -> str:
        """`prepare s4: 20 of 100 clips, 3.4 clips/s, 24 s left`."""
        pace = self.pace
        between = "" if not pace else " " if pace.startswith("in ") else ", "
        return f"{self.title}: {self.counted}{between}{pace}"


def is_terminal() -> bool:
    """Whether stderr is a terminal on which a bar can move."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def is_due(done: int, total: int | None, before: int | None = None) -> bool:
    """Whether a plain line belongs at `done`: at every tenth of `total`, or at every doubling where it is unknown.

    Args:
        before: Where the count stood; by default one less.
    """
    before = done - 1 if before is None else before
    if total is None:
        return done.bit_length() > before.bit_length()
    return total > 0 and done * LINES // total > before * LINES // total


def in_words(seconds: float) -> str:
    """`4.1 s`, `24 s`, `12 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def rate_in_words(rate: float, unit: str) -> str:
    """`3.4 clips/s`, or `2.5 s/clip` where it is slower than one a second; `0.7x real time` of a video's seconds."""
    if unit == "second":
        return f"{rate:.2g}x real time"
    if rate < 1:
        return f"{1 / rate:.3g} s/{unit}" if rate > 0 else ""
    return f"{rate:.3g} {unit}s/s" if rate < 1000 else f"{rate:.0f} {unit}s/s"


class _Screen:
    """The bars of one terminal; log lines go above them while they stand."""

    def __init__(self) -> None:
        state = random.getstate()
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        random.setstate(state)  # rich draws when it is imported, which a run that goes on must not feel
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            # Read anew at every refresh, so that the time left goes on while nothing is counted.
            TextColumn("{task.fields[progress].counted}", markup=False),
            TextColumn("{task.fields[progress].pace}", markup=False),
        )
        self.bars = Bars(*columns, console=Console(stderr=True), expand=True)
        plain = sys.stderr
        self.bars.start()  # puts something in place of sys.stderr that writes above the bars
        self.plain = plain
        self.handlers = [h for h in logging.getLogger().handlers if getattr(h, "stream", None) is plain]
        for handler in self.handlers:
            handler.setStream(sys.stderr)  # type: ignore[attr-defined]

    def add(self, progress: Progress) -> Any:
        """A bar below the others; its number."""
        return self.bars.add_task(progress.title, total=progress.total, completed=progress.done, progress=progress)

    def update(self, row: Any, done: int) -> None:
        """Move a bar."""
        self.bars.update(row, completed=done)

    def remove(self, row: Any) -> None:
        """Take a bar away."""
        self.bars.remove_task(row)

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        self.bars.stop()
        for handler in self.handlers:
            handler.setStream(self.plain)  # type: ignore[attr-defined]
