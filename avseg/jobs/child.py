"""A child process that answers questions and is replaced if it crashes."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
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
"""Time in s for the process to stop by itself."""
LOOK = 0.05
"""Interval in s between checks for a stop request."""
_SPAWN = get_context("spawn")


class _Life:
    """One process, and a connection for each question that may be open at once."""

    def __init__(self, address: str, arguments: tuple[Any, ...], places: int) -> None:
        near, far = zip(*(_SPAWN.Pipe() for _ in range(places)), strict=True)
        self.free: list[Connection[Any, Any]] = list(near)
        self.open = 0
        """Number of unanswered questions."""
        self.ended = False
        """Whether the parent ended it."""
        self.death: WorkerDied | None = None
        """How it crashed, as reported to the first question."""
        self.scratch = Path(mkdtemp(prefix="avseg-"))
        given = (far, address, arguments, str(self.scratch))
        self.process: BaseProcess = _SPAWN.Process(target=answer_questions, args=given, daemon=True)
        self.process.start()
        for connection in far:
            connection.close()

    def leave(self) -> None:
        """Have the process end by itself, so that it gives back what it holds, such as named semaphores."""
        for connection in self.free:
            connection.close()
        self.process.join(POLITE)

    def clear(self) -> None:
        """End the process if it runs, and remove its files."""
        self.process.kill()
        self.process.join()
        rmtree(self.scratch, ignore_errors=True)


class Child:
    """Keeps a process running between questions.

    Args:
        address: "module:callable" that the process calls with `arguments`. What it gives is called for each question
            with the question, a function that tells progress, and a function that says whether to stop; where `places`
            is more than 1, by several threads at once.
        doing: What the process does, for sentences, such as "segments videos".
        places: Questions that may be open at once.
    """

    def __init__(self, address: str, *arguments: Any, doing: str, places: int = 1) -> None:
        self._address, self._arguments, self._doing, self._places = address, arguments, doing, places
        self._life: _Life | None = None
        self._change = threading.Lock()
        self._entry = threading.Semaphore(places)

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        life = self._life
        return life.process.pid if life else None

    def warm(self) -> None:
        """Start the process before the first question, so that it is ready."""
        with self._change:
            self._alive()

    def ask(
        self,
        question: Any,
        told: Callable[[Any], None] | None = None,
        stop: threading.Event | None = None,
        seconds: float | None = None,
    ) -> Any:
        """Return the answer; questions from more threads than there are places wait for each other.

        To stop the work early, the process gets a request; if it does not stop within `POLITE`, it is killed.

        Args:
            question: anything that can be pickled.
            told: called with messages from the process; an error that it raises stops the work and is raised here.
            stop: set it to stop the work.
            seconds: after that time the work is stopped.

        Raises:
            JobError: the question was refused, or takes longer than `seconds`.
            JobStopped: `stop` was set; or the process was ended on account of another question.
            WorkerDied: the process ended by itself; the next question starts another one.
        """
        with self._entry:
            wish = _Wish(told, stop, seconds)
            with self._change:
                life = self._alive()
                life.open += 1
                connection = life.free.pop()
            try:
                kind, value = self._heard(life, connection, question, wish)
            except (EOFError, OSError) as error:
                raise wish.why or self._gone(life) from error
            except BaseException:
                self._end(life)
                raise
            finally:
                with self._change:
                    life.open -= 1
                    life.free.append(connection)
        if wish.why is not None and not (kind == "answer" and isinstance(wish.why, JobStopped)):
            raise wish.why
        if kind == "refused":
            raise JobError(value)
        return value

    def _heard(self, life: _Life, connection: Connection[Any, Any], question: Any, wish: _Wish) -> tuple[str, Any]:
        """Wait for the end of the work and return the answer."""
        connection.send(question)
        asked = 0.0
        while True:
            if connection.poll(LOOK):
                kind, value = connection.recv()
                if kind != "told":
                    return kind, value
                wish.tell(value)
            if not wish.is_there():
                continue
            if not asked:
                asked = time.monotonic()
                connection.send("stop")
            elif time.monotonic() - asked > POLITE:
                self._end(life)
                return "stopped", None

    def end(self) -> None:
        """End the process at once; the next question starts another one."""
        if (life := self._life) is not None:
            self._end(life)

    def close(self) -> None:
        """End the process, for good; one without an open question has `POLITE` to end by itself."""
        with self._change:
            if (life := self._life) is None:
                return
            if not life.open:
                life.leave()
            self._drop(life)

    def _alive(self) -> _Life:
        """Return the running process."""
        if self._life is not None and not self._life.process.is_alive():
            self._forget(self._life)
        if self._life is None:
            self._life = _Life(self._address, self._arguments, self._places)
        return self._life

    def _end(self, life: _Life) -> None:
        with self._change:
            self._drop(life)

    def _drop(self, life: _Life) -> None:
        life.ended = life.ended or life.death is None
        self._forget(life)

    def _gone(self, life: _Life) -> Exception:
        """Return the error for a question whose process has ended."""
        with self._change:
            if life.ended:
                return JobStopped(f"the process that {self._doing} was ended because of another job")
            if life.death is not None:
                return WorkerDied(str(life.death), shared=life.death.shared, first=False)
            life.process.join(5)
            code = life.process.exitcode
            self._forget(life)
            by = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
            hint = ", possibly by the system because memory ran out" if code == -signal.SIGKILL else ""
            sentence = f"the process that {self._doing} ended unexpectedly ({by}{hint})"
            life.death = WorkerDied(sentence, shared=life.open > 1)
            return life.death

    def _forget(self, life: _Life) -> None:
        life.clear()
        if self._life is life:
            self._life = None


class _Wish:
    """The reasons to stop the work on a question early."""

    def __init__(self, told: Callable[[Any], None] | None, stop: threading.Event | None, seconds: float | None) -> None:
        self.why: Exception | None = None
        self._told, self._stop, self._seconds = told, stop, seconds
        self._begun = time.monotonic()

    def tell(self, value: Any) -> None:
        """Pass on messages of the process until a stop is requested."""
        if self._told is None or self.why is not None:
            return
        try:
            self._told(value)
        except Exception as error:  # noqa: BLE001  raised when the work has stopped
            self.why = error

    def is_there(self) -> bool:
        """Whether the work should stop."""
        if self.why is None and self._seconds is not None and time.monotonic() - self._begun > self._seconds:
            self.why = JobError(f"this takes longer than the limit of {self._seconds:g} s")
        if self.why is None and self._stop is not None and self._stop.is_set():
            self.why = JobStopped("the work was stopped")
        return self.why is not None


def answer_questions(
    connections: Sequence[Connection[Any, Any]], address: str, arguments: tuple[Any, ...], scratch: str
) -> None:
    """Run in the process: answer the questions of each connection in turn until the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal is for the parent, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TMPDIR"] = scratch
    os.environ["TERM"] = "dumb"  # no bars on the terminal of the parent
    share_cores()
    made: list[Callable[..., Any]] = []
    making = threading.Lock()

    def work() -> Callable[..., Any]:
        with making:
            if not made:
                made.append(imported(address)(*arguments))
            return made[0]

    with suppress(Exception):  # the first question is told why
        work()
    for connection in connections[1:]:
        threading.Thread(target=_answer_all, args=(connection, work), daemon=True).start()
    _answer_all(connections[0], work)


def _answer_all(connection: Connection[Any, Any], work: Callable[[], Callable[..., Any]]) -> None:
    sending = threading.Lock()

    def send(kind: str, value: Any) -> None:
        with sending:
            connection.send((kind, value))

    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        if question == "stop":
            continue  # it came after the answer
        try:
            answer = work()(question, lambda value: send("told", value), lambda: _wants_stop(connection))
        except JobStopped:
            send("stopped", None)
        except Exception as error:
            if not isinstance(error, EXPECTED):
                log.error("unexpected", exc_info=error)
            send("refused", sentence_of(error))
        else:
            send("answer", answer)


def _wants_stop(connection: Connection[Any, Any]) -> bool:
    """Whether the parent requested a stop."""
    return connection.poll() and connection.recv() == "stop"


def _end_with_parent() -> None:
    """End this process when its parent was killed and cannot do so."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
