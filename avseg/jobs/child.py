"""A process of ours that answers one question after another, and is replaced where it ends by itself."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from avseg.io.stages import share_cores
from avseg.jobs.errors import EXPECTED, JobError, JobStopped, WorkerDied, sentence_of
from avseg.lazy import imported

log = logging.getLogger(__name__)

POLITE = 0.7
"""s in which the process is given time to stop by itself."""
LOOK = 0.05
"""s between two looks for a wish to stop."""
_SPAWN = get_context("spawn")


class Child:
    """Keeps what answers alive between questions.

    Args:
        address: "module:callable" that the process calls with `arguments`. What it gives is called for each question
            with the question, a function that tells progress, and a function that says whether to stop.
        doing: What the process does, for sentences, such as "segments videos".
    """

    def __init__(self, address: str, *arguments: Any, doing: str) -> None:
        self._address, self._arguments, self._doing = address, arguments, doing
        self._process: BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None
        self._scratch: Path | None = None
        self._one = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return self._process.pid if self._process else None

    def warm(self) -> None:
        """Start the process before there is a question; it makes ready what answers."""
        with self._one:
            self._started()

    def ask(
        self,
        question: Any,
        told: Callable[[Any], None] | None = None,
        stop: threading.Event | None = None,
        seconds: float | None = None,
    ) -> Any:
        """The answer; questions of several threads wait for each other.

        Args:
            question: anything that can be pickled.
            told: called with what the process tells meanwhile; an error that it raises ends the process.
            stop: where it is set, the process is asked to stop, and ended where it does not within `POLITE`.
            seconds: after that time the process is ended.

        Raises:
            JobError: the question was refused, or takes longer than `seconds`.
            JobStopped: `stop` was set.
            WorkerDied: the process ended by itself; the next question starts another one.
        """
        with self._one:
            connection = self._started()
            try:
                connection.send(question)
                return self._answer(connection, told, stop, seconds)
            except (EOFError, OSError) as error:
                raise WorkerDied(self._ended()) from error
            except (JobError, JobStopped):
                raise
            except BaseException:
                self.end()
                raise

    def _answer(
        self,
        connection: Connection[Any, Any],
        told: Callable[[Any], None] | None,
        stop: threading.Event | None,
        seconds: float | None,
    ) -> Any:
        begun, asked = time.monotonic(), 0.0
        while True:
            if connection.poll(LOOK):
                kind, value = connection.recv()
                if kind == "answer":
                    return value
                if kind == "refused":
                    raise JobError(value)
                if kind == "stopped":
                    raise JobStopped(f"the process that {self._doing} was asked to stop")
                self._tell(told, value)
            now = time.monotonic()
            if seconds is not None and now - begun > seconds:
                self.end()
                raise JobError(f"this takes longer than {seconds:g} s, which is the most that is allowed here")
            if stop is not None and stop.is_set():
                if not asked:
                    asked = now
                    connection.send("stop")
                elif now - asked > POLITE:
                    self.end()
                    raise JobStopped(f"the process that {self._doing} was ended")

    def _tell(self, told: Callable[[Any], None] | None, value: Any) -> None:
        try:
            if told is not None:
                told(value)
        except BaseException:
            self.end()  # its answer would be taken for one to the next question
            raise

    def end(self) -> None:
        """End the process at once; the next question starts another one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._clear()

    def close(self) -> None:
        """End the process, for good."""
        self.end()

    def _started(self) -> Connection[Any, Any]:
        """The connection to a process that lives."""
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self.end()
        self._connection, far = _SPAWN.Pipe()
        self._scratch = Path(mkdtemp(prefix="avseg-"))
        given = (far, self._address, self._arguments, str(self._scratch))
        self._process = _SPAWN.Process(target=answer_questions, args=given, daemon=True)
        self._process.start()
        far.close()
        return self._connection

    def _ended(self) -> str:
        """Says that the process ended, after it did."""
        assert self._process is not None
        self._process.join(5)
        code = self._process.exitcode
        self.end()
        by = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        hint = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
        return f"the process that {self._doing} ended unexpectedly ({by}{hint})"

    def _clear(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.close()
        if self._scratch is not None:
            rmtree(self._scratch, ignore_errors=True)
        self._process = self._connection = self._scratch = None


def answer_questions(connection: Connection[Any, Any], address: str, arguments: tuple[Any, ...], scratch: str) -> None:
    """What runs in the process: until its parent ends, every question is answered."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal is for the parent, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TMPDIR"] = scratch
    os.environ["TERM"] = "dumb"  # no bars on the terminal of the parent
    share_cores()
    sending = threading.Lock()

    def send(kind: str, value: Any) -> None:
        with sending:
            connection.send((kind, value))

    work: Callable[..., Any] | None = None
    with suppress(Exception):  # the first question is told why
        work = imported(address)(*arguments)
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        if question == "stop":
            continue  # it came after the answer
        try:
            work = work or imported(address)(*arguments)
            answer = work(question, lambda value: send("told", value), lambda: _wants_stop(connection))
        except JobStopped:
            send("stopped", None)
        except Exception as error:
            if not isinstance(error, EXPECTED):
                log.error("unexpected", exc_info=error)
            send("refused", sentence_of(error))
        else:
            send("answer", answer)


def _wants_stop(connection: Connection[Any, Any]) -> bool:
    """Whether the parent asked to stop."""
    return connection.poll() and connection.recv() == "stop"


def _end_with_parent() -> None:
    """A parent that was killed cannot end this process: it ends itself."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
