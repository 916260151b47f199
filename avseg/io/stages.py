"""Stages of work in parallel threads, with a short queue between two stages.

    with Ahead(decoded(path), 8) as pictures, Behind(encode, 4) as encoding:
        for picture in pictures:
            encoding.add(paint(picture))

Items come and go in their order. Decoders, encoders, zlib and networks let other threads run while they work.
An error, an interrupt included, goes to the caller; a block that is left early waits for the item in the making alone.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Given = TypeVar("Given")

_END: Any = object()
"""Stands behind the last item of a queue."""


def share_cores() -> None:
    """Let threads of OpenMP, which PyTorch computes with, sleep while they wait for work: they would keep a core busy
    that another stage needs. For a process that has not imported PyTorch yet; what its user has set stays."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Ahead(Iterator[Item]):
    """Iterates over an iterable with a thread that produces up to `depth` items ahead.

    It may be asked and closed by different threads. One that is forgotten ends by itself.
    """

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        """
        Args:
            items: the thread alone uses them, and closes what can be closed, such as a generator.
            depth: how many wait, beside the one in the making; at least 1.
        """
        self._line = _Line(depth)
        weakref.finalize(self, self._line.stop)
        self._line.begin(_make, items)

    def __next__(self) -> Item:
        item = self._line.queue.get()
        if item is not _END:
            made: Item = item
            return made
        self._line.queue.put(_END)  # for whoever asks again
        error, self._line.error = self._line.error, None
        if error is not None:
            raise error
        raise StopIteration

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Make no more of them, and forget those that wait; whoever waits for one gets none."""
        self._line.stop()
        self._line.over.wait()
        self._line.error = None


class Behind(Generic[Given]):
    """Passes items to a function one after the other, in a separate thread.

    `add` returns at once while fewer than `depth` items wait. A block of it that ends well waits until all are taken;
    one that does not drops those that wait. Without a block, `finish` or `abandon` must be called.
    """

    def __init__(self, take: Callable[[Given], object], depth: int) -> None:
        """
        Args:
            take: the thread alone calls it, and no more once it has failed.
            depth: how many wait, beside the one that is being taken; at least 1.
        """
        self._line = _Line(depth)
        self._complete = False
        self._line.begin(_take, take)

    def add(self, item: Given) -> None:
        """The next item.

        Raises:
            BaseException: what an item before it came to.
        """
        self._raise()
        self._line.queue.put(item)

    def finish(self) -> None:
        """There are no more; wait until all are taken.

        Raises:
            BaseException: what an item came to.
        """
        self._end()
        self._raise()

    def abandon(self) -> None:
        """Drop those that wait, and wait for the one that is being taken."""
        self._line.stopped.set()
        self._end()

    def __enter__(self) -> Behind[Given]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.abandon()

    def _end(self) -> None:
        if not self._complete:
            self._line.queue.put(_END)
            self._complete = True
        self._line.over.wait()

    def _raise(self) -> None:
        if self._line.error is not None:
            raise self._line.error


class _Line:
    """The state shared by a stage and its thread; the thread has no reference to the stage, so that it can be
    collected.
    """

    def __init__(self, depth: int) -> None:
        self.queue: Queue[Any] = Queue(depth)
        self.stopped = threading.Event()
        self.over = threading.Event()
        """Whether the thread has ended. An interrupt makes `Thread.join` take one that runs for one that has ended."""
        self.error: BaseException | None = None

    def begin(self, work: Callable[[_Line, Any], None], what: Any) -> None:
        """Start the thread; a process that ends does not wait for it."""
        threading.Thread(target=work, args=(self, what), daemon=True).start()

    def stop(self) -> None:
        """Tell the thread to end, and make room for what it has in hand."""
        self.stopped.set()
        self.drain()

    def drain(self) -> None:
        """Forget the items that wait."""
        while True:
            try:
                self.queue.get_nowait()
            except Empty:
                return


def _make(line: _Line, items: Iterable[Any]) -> None:
    """The thread of `Ahead`."""
    try:
        for item in items:
            line.queue.put(item)
            del item
            if line.stopped.is_set():
                break
    except BaseException as error:  # noqa: BLE001  it is raised again where the item was wanted
        line.error = error
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
        if line.stopped.is_set():
            line.drain()
        line.queue.put(_END)
        line.over.set()


def _take(line: _Line, take: Callable[[Any], object]) -> None:
    """The thread of `Behind`."""
    while (item := line.queue.get()) is not _END:
        if line.error is None and not line.stopped.is_set():
            try:
                take(item)
            except BaseException as error:  # noqa: BLE001  it is raised again where the next item is given
                line.error = error
        del item
    line.over.set()
