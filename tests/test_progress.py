"""Progress of long work: a bar on a terminal, about ten lines elsewhere."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import pytest

from avseg.progress import Progress, in_words, is_due, rate_in_words, tracked

ON_A_TERMINAL = """
import logging, sys, time
logging.basicConfig(level=logging.INFO, format="%(message)s")
from avseg.progress import Progress, tracked
with Progress(4, "prepare [s4]", "clip") as progress:
    for number in range(4):
        for _ in tracked(range(3), "inner work", "frame"):
            time.sleep(0.06)
        logging.info("a line of [the log]")
        progress.advance()
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(("total", "lines"), [(0, 0), (1, 1), (7, 7), (10, 10), (16, 10), (1999, 10)])
def test_no_terminal_gets_about_ten_lines(total: int, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "avseg"):
        assert list(tracked(range(total), "prepare s4")) == list(range(total))
    assert len(caplog.messages) == lines
    last = rf"prepare s4: {total} of {total} clips? in \d+\.\d s"
    assert not lines or re.fullmatch(last, caplog.messages[-1])


def test_a_line_says_how_far_how_fast_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "avseg"), Progress(100, "train demo", "step", done=80) as progress:
        progress.began -= 800.0
        progress.at(84)
        progress.at(90)
    assert len(caplog.messages) == 1  # 84 passes no tenth
    # Of the ten steps of this run, not of all ninety.
    assert re.fullmatch(r"train demo: 90 of 100 steps, 8\d(\.\d)? s/step, 13 min left", caplog.messages[0])


def test_work_of_unknown_length_gets_a_line_at_every_doubling(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "avseg"):
        list(tracked(iter(range(1000)), "predict", "frame"))
    assert [int(re.search(r"(\d+) frame", text)[1]) for text in caplog.messages] == [2**power for power in range(10)]  # type: ignore[index]


def test_inner_and_quiet_work_write_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "avseg"):
        for _ in tracked(range(2), "outer"):
            list(tracked(range(5), "inner"))
        with Progress(5, "another process", quiet=True) as progress:
            progress.advance(5)
            list(tracked(range(1), "after a quiet one"))
    assert [text.split(":")[0] for text in caplog.messages] == ["outer", "outer", "after a quiet one"]


def test_an_error_ends_the_outer_work_too(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), Progress(3, "outer"):
        raise ZeroDivisionError
    with caplog.at_level(logging.INFO, "avseg"):
        list(tracked(range(1), "next"))
    assert len(caplog.messages) == 1


def test_words_of_time_and_rate() -> None:
    assert [in_words(s) for s in (4.1, 24.4, 89.9, 720, 7799)] == ["4.1 s", "24 s", "90 s", "12 min", "2 h 10 min"]
    assert rate_in_words(3.4, "clip") == "3.4 clips/s" and rate_in_words(0.4, "clip") == "2.5 s/clip"
    assert [done for done in range(1, 26) if is_due(done, 25)] == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize("width", [80, 160])
def test_a_terminal_gets_bars_and_whole_log_lines(width: int) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm"}
    code = [sys.executable, "-c", ON_A_TERMINAL]
    work = subprocess.Popen(code, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux ends a terminal whose other side is closed so
        pass
    os.close(ours)
    assert work.communicate()[0].strip() == b"False" and work.returncode == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"prepare \[s4\] \S+ 4 of 4 clips in [\d.]+ s", text)
    assert "inner work" in text
    rows = [row for part in text.split("\n") for row in part.split("\r")]
    assert rows.count("a line of [the log]") == 4
    assert max(len(row.rstrip()) for row in rows) <= width
