"""The page of a stream, asked as a browser asks."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from avseg.live import page as pages
from avseg.live.page import LivePage

FIGURES = {"masks": 3, "sounding": ["<b>dog</b>"], "state": "film is open", "good": True}


@pytest.fixture
def page() -> Iterator[LivePage]:
    with LivePage(0, lambda: FIGURES) as one:
        yield one


def part_of(stream: io.BufferedIOBase) -> Image.Image:
    """The next picture of a stream of parts."""
    assert stream.readline() == b"--picture\r\n"
    head = dict(line.split(b": ") for line in iter(lambda: stream.readline().strip(), b""))
    picture = Image.open(io.BytesIO(stream.read(int(head[b"Content-Length"]))))
    picture.load()
    assert stream.readline() == b"\r\n"
    return picture


def test_the_page_shows_picture_and_figures_and_asks_nobody_else(page: LivePage) -> None:
    with urllib.request.urlopen(page.address) as answer:
        text, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    assert 'src="stream"' in text and 'fetch("figures"' in text and "http" not in text
    assert policy.startswith("default-src 'none'")
    with urllib.request.urlopen(f"{page.address}figures") as answer:
        assert json.loads(answer.read()) == FIGURES
    page.show(np.full((48, 64, 3), 200, np.uint8))
    with urllib.request.urlopen(f"{page.address}stream") as answer:
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
        assert abs(float(np.array(part_of(answer)).mean()) - 200) < 3
        page.show(np.full((48, 64, 3), 20, np.uint8))
        assert abs(float(np.array(part_of(answer)).mean()) - 20) < 3


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("nothing", None, 404), ("figures", "evil.example", 403), ("stream", "127.0.0.1.evil.example:80", 403)],
)
def test_other_addresses_and_names_are_refused(page: LivePage, path: str, host: str | None, status: int) -> None:
    wanted = urllib.request.Request(f"{page.address}{path}", headers={"Host": host} if host else {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(wanted)
    assert refused.value.code == status


def test_it_is_for_this_machine_alone_and_for_a_few_viewers(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert page.address.startswith("http://127.0.0.1:")
    with pytest.raises(ValueError, match=r"port \d+ of 127.0.0.1 cannot be used"):
        LivePage(int(page.address.rsplit(":")[-1].strip("/")), dict)
    page.show(np.zeros((8, 8, 3), np.uint8))
    watching = [urllib.request.urlopen(f"{page.address}stream") for _ in range(pages.VIEWERS)]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{page.address}stream")
    for one in watching:
        one.close()


def test_words_that_are_no_request_do_no_harm(page: LivePage) -> None:
    host, port = page.address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"\x16\x03\x01\x00\r\n\r\n")
        assert b"400" in line.recv(400)
    with urllib.request.urlopen(f"{page.address}figures") as answer:
        assert answer.status == 200
