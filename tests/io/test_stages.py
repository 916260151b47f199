"""Stages keep the order, hold few items, pass errors on, and leave no thread behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from avseg.io.stages import Ahead, Behind, share_cores

COUNT = 200


class Counted:
    """Counts up; knows how far it came and whether it was closed, and fails at `fault`."""

    def __init__(self, fault: int | None = None) -> None:
        self.made, self.closed, self.fault = 0, False, fault

    def __iter__(self) -> Iterator[int]:
        while self.made < COUNT:
            if self.made == self.fault:
                raise OSError(28, "No space left on device")
            self.made += 1
            yield self.made - 1

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("depth", [1, 3, 2 * COUNT])
def test_items_come_in_their_order_and_are_taken_in_their_order(depth: int) -> None:
    taken: list[int] = []
    source = Counted()
    with Ahead(source, depth) as items, Behind(taken.append, depth) as taking:
        for item in items:
            taking.add(item)
    assert taken == list(range(COUNT)) and source.closed


def test_no_more_than_the_depth_is_made_ahead() -> None:
    source, asked = Counted(), 5
    with Ahead(source, 3) as items:
        for number in range(asked):
            assert next(items) == number
            assert source.made <= number + 1 + 3 + 1  # those that wait, and the one in hand
    assert source.made <= asked + 3 + 2


def test_no_more_than_the_depth_waits_behind() -> None:
    free, taken = threading.Semaphore(0), list[int]()

    def take(item: int) -> None:
        free.acquire()
        taken.append(item)

    ready = threading.Event()

    def give(taking: Behind[int]) -> None:
        for item in range(5):
            taking.add(item)
        ready.set()

    with Behind(take, 3) as taking:
        giver = threading.Thread(target=give, args=(taking,))
        giver.start()
        assert not ready.wait(0.2)  # one is in hand and three wait, so the fifth has no room
        free.release()
        assert ready.wait(10)
        giver.join()
        free.release(10)
    assert taken == list(range(5))


def test_an_error_of_the_items_comes_after_those_before_it() -> None:
    items = Ahead(Counted(fault=7), 3)
    got = []
    with pytest.raises(OSError, match="No space left"):
        got.extend(iter(lambda: next(items), None))
    assert got == list(range(7)) and list(items) == []


def test_an_error_of_a_taken_item_comes_with_a_later_one_and_nothing_is_taken_after_it() -> None:
    taken: list[int] = []

    def take(item: int) -> None:
        taken.append(item)
        if item == 2:
            raise OSError(28, "No space left on device")

    def give() -> None:
        with Behind(take, 2) as taking:
            for item in range(COUNT):
                taking.add(item)

    with pytest.raises(OSError, match="No space left"):
        give()
    assert taken == [0, 1, 2]
    last = Behind(take, 2)
    last.add(2)
    with pytest.raises(OSError, match="No space left"):
        last.finish()
    last.abandon()


def test_what_is_left_early_makes_and_takes_no_more() -> None:
    source, taken, begun = Counted(), list[int](), threading.Event()

    def take(item: int) -> None:
        taken.append(item)
        begun.set()

    def leave() -> None:
        with Ahead(source, 2) as items, Behind(take, 2) as taking:
            for item in items:
                taking.add(item)
                if item == 10:
                    assert begun.wait(10)
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    made, count = source.made, len(taken)
    assert made <= 15 and count <= 11 and source.closed and taken == list(range(count))


def test_who_waits_for_an_item_gets_none_when_another_thread_closes() -> None:
    hold, waiting = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        yield 0
        waiting.set()
        hold.wait(10)
        yield 1

    items, got = Ahead(slow(), 1), list[int]()
    reader = threading.Thread(target=lambda: got.extend(items))
    reader.start()
    assert waiting.wait(10)
    threading.Timer(0.05, hold.set).start()
    items.close()
    reader.join(10)
    assert not reader.is_alive() and got == [0]


def test_what_is_forgotten_ends_by_itself() -> None:
    source = Counted()
    items = Ahead(source, 2)
    assert next(items) == 0
    del items
    gc.collect()
    assert any(source.closed or threading.Event().wait(0.05) for _ in range(200))
    assert source.made < COUNT


def test_a_process_ends_though_a_stage_is_open() -> None:
    code = (
        "from itertools import count\n"
        "from avseg.io.stages import Ahead, Behind\n"
        "import threading\n"
        "items, taking = Ahead(count(), 2), Behind(lambda item: threading.Event().wait(), 2)\n"
        "taking.add(next(items))\n"
        "print(next(items))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("own", ["ACTIVE", None])
def test_waiting_threads_sleep_unless_the_user_wants_them_awake(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", own or "")
    if own is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == (own or "PASSIVE")


def test_predicting_from_the_command_line_lets_them_sleep_before_pytorch_is_there() -> None:
    code = (
        "import os, sys, avseg.cli as cli\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n"
        "    cli.run(['predict', 'none.mp4', '--model', 'demo'])\n"
        "except FileNotFoundError:\n"
        "    print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=clean)
    assert ended.stdout == "PASSIVE\n", ended.stderr
