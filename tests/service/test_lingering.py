"""Clients that send on and on: an answer arrives whole, and none can hold a connection for long."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from avseg.service.refusal import Refusal
from avseg.service.settings import Settings
from extras import needs

pytestmark = pytest.mark.extra
SIZE = 6_000_000
WORDS = b"a request may have at most 2 MB"


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers without reading the request."""
    assert scope["type"] == "http"
    head = [(b"content-length", b"%d" % len(WORDS)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": head})
    await send({"type": "http.response.body", "body": WORDS})


@pytest.fixture(autouse=True)
def _installed() -> None:
    for package in ("starlette", "uvicorn"):
        needs(package)


def lingering(**times: float) -> Any:
    """The application of this file, wrapped."""
    from avseg.service.lingering import Lingering

    return Lingering(refuses, **times)


@contextmanager
def listening(app: Any) -> Iterator[socket.socket]:
    """A connection to the application in a server of a thread."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http="h11", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as place:
        thread = threading.Thread(target=server.run, args=([place],))
        thread.start()
        try:
            with socket.create_connection(place.getsockname(), timeout=60) as client:
                client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE)
                yield client
        finally:
            server.should_exit = True
            thread.join()


def everything(client: socket.socket) -> bytes:
    """What comes until the end of the connection."""
    found = b""
    while part := client.recv(65_536):
        found += part
    return found


def test_a_client_that_sends_on_gets_the_whole_answer() -> None:
    with listening(lingering()) as client:
        for _ in range(60):
            client.sendall(bytes(SIZE // 60))  # it raises where the server has closed the connection
            time.sleep(0.005)
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 413 ") and answer.endswith(b"\r\n\r\n" + WORDS)


def test_a_client_that_pauses_is_left() -> None:
    with listening(lingering(linger=60.0, pause=0.05)) as client:
        assert everything(client).endswith(WORDS)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_never_ends_is_left(chunked: bool) -> None:
    sent, parts = [], 0

    async def receive() -> dict[str, Any]:
        nonlocal parts
        parts += 1
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    head = [(b"transfer-encoding", b"chunked")] if chunked else [(b"content-length", b"9999999")]
    asyncio.run(lingering(linger=0.1, pause=60.0)({"type": "http", "headers": head}, receive, send))
    assert [message.get("more_body", False) for message in sent[1:]] == [True, False]
    assert b"".join(message["body"] for message in sent[1:]) == WORDS and parts > 1


def test_what_has_no_body_is_passed_on() -> None:
    sent = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing is to be received")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(lingering()({"type": "http", "headers": []}, receive, send))
    assert len(sent) == 2 and "more_body" not in sent[1]


def test_an_upload_that_never_pauses_has_an_end_too(tmp_path: Path) -> None:
    needs("python_multipart")
    from starlette.requests import Request

    from avseg.service.upload import read_request

    begun = False

    async def receive() -> dict[str, Any]:
        nonlocal begun
        await asyncio.sleep(0.001)
        head = b"" if begun else b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
        begun = True
        return {"type": "http.request", "body": head + b"x", "more_body": True}

    head = [(b"content-type", b"multipart/form-data; boundary=b"), (b"transfer-encoding", b"chunked")]
    request = Request({"type": "http", "method": "POST", "headers": head}, receive)
    settings = Settings(("demo",), tmp_path / "jobs", upload=0.3)
    with pytest.raises(Refusal, match=r"the upload was too slow; the limits are 0\.3 s in total") as found:
        asyncio.run(read_request(request, tmp_path, settings))
    assert found.value.status == 408
