"""What buttons of the page do, without a browser; and what the command says."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from avseg.cli import run
from avseg.jobs import JobError, Limits, Worker
from avseg.ui.desk import Desk
from avseg.ui.offers import Offer
from extras import needs

pytestmark = pytest.mark.extra


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    needs("gradio")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    from avseg.ui.page import VideoPage

    limits = Limits(bytes=5_000_000, seconds=90)
    offers = [Offer("m", "/m.safetensors", classes=("dog", "cat", "bell", "car", "bird")), Offer("w", "words", True)]
    found = VideoPage(Desk(tmp_path, Worker(), limits), offers, limits, tmp_path)
    found.made = found.blocks()
    return found


def test_the_limits_stand_beside_the_upload_and_the_fields_follow_the_model(page: Any) -> None:
    assert "up to 5 MB and 90 s" in page.note.value
    assert page.classes.placeholder == "dog, cat, bell, car, ..." and not page.words.visible
    assert page.on_model("words")[page.words].visible


def test_an_order_says_what_was_chosen(page: Any) -> None:
    order = page._order("/v.mp4", "words", ("2,5", " "), ("dog, cat", "dog, church bell"))
    assert (order.fps, order.threshold, order.classes) == (2.5, None, "dog, cat")
    assert order.choices == {"vocabulary": "dog, church bell,"} and {"overlay", "masks"} <= set(order.save)
    assert page._order("/v.mp4", "/m.safetensors", ("", "0.5"), ("", "dog")).choices == {}


@pytest.mark.parametrize(
    ("numbers", "texts", "words"),
    [
        (("0", ""), ("", ""), "masks per second is '0', wanted a number from 0.001 to 60, or nothing"),
        (("1e-12", ""), ("", ""), "masks per second is '1e-12', wanted a number from 0.001"),
        (("many", ""), ("", ""), "masks per second is 'many'"),
        (("", "nan"), ("", ""), "least score is 'nan'"),
        (("", "1.5"), ("", ""), "up to 1, or nothing"),
        (("", ""), ("", "/etc/passwd"), "is not a list of names"),
        (("", ""), ("a\\b", ""), "is not a list of names"),
    ],
)
def test_what_cannot_be_is_refused(page: Any, numbers: Any, texts: Any, words: str) -> None:
    with pytest.raises(JobError, match=words):
        page._order("/v.mp4", "words", numbers, texts)
    with pytest.raises(JobError, match="there is no video yet"):
        page._order(None, "words", ("", ""), ("", ""))


def test_nothing_of_it_can_be_called_by_name(page: Any) -> None:
    described = page.made.get_api_info()
    assert described["named_endpoints"] == {} == described["unnamed_endpoints"]


def test_a_taken_port_and_a_missing_extra_are_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("gradio")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot be served at 127\.0\.0\.1, port {port} .*choose another --port"):
            run(["ui", "--port", str(port)])
    monkeypatch.setattr("avseg.ui.start.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'needs gradio, .*pip install "avseg\[ui\]"'):
        run(["ui"])


def test_the_help_page_needs_neither_torch_nor_gradio() -> None:
    code = (
        "import sys, contextlib, io\nfrom avseg.cli import run\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): run(['ui', '--help'])\n"
        "print('torch' in sys.modules, 'gradio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False False"
