"""What broke the service once: one fault that stopped all jobs, full disks, playlists, strangers' pages, odd fields."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avseg.jobs import JobError, Limits, Order
from avseg.service.fetch import fetch, is_public
from avseg.service.keys import Keys
from avseg.service.refusal import Refusal
from avseg.service.settings import Settings
from avseg.service.store import Store
from extras import needs
from own_videos import make_video
from service.test_service_parts import Bench, Fake

HEAD = 'Content-Disposition: form-data; name="{}"'


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A body of multipart/form-data with the boundary b."""
    lines = b""
    for name, file, content in parts:
        named = HEAD.format(name) + (f'; filename="{file}"' if file else "")
        lines += b"--b\r\n" + named.encode() + b"\r\n\r\n" + content + b"\r\n"
    return lines + b"--b--\r\n"


def ask(folder: Path, body: bytes, kind: str = "multipart/form-data; boundary=b", **settings: Any) -> Order:
    """The order that a request makes."""
    from starlette.requests import Request

    from avseg.service.upload import read_request

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "app": object()}
    return asyncio.run(read_request(Request(scope, receive), folder, Settings(("demo",), folder, **settings)))[0]


@pytest.mark.extra
def test_fields_that_are_odd_get_a_sentence(tmp_path: Path) -> None:
    for package in ("starlette", "python_multipart", "prometheus_client"):
        needs(package)
    video = ("video", "v.mp4", b"x")
    forms = (
        ((video, video), 422, "'video' was sent twice"),
        ((video, ("fps", None, b"1"), ("fps", None, b"2")), 422, "'fps' was sent twice"),
        ((video, ("choices", None, rb'{"vocabulary": "\ud800"}')), 422, "a lone surrogate"),
        ((video,) * 3, 400, "the multipart/form-data is invalid"),
        ((video, ("classes", None, b"x" * 2_000_000)), 400, "exceeded maximum size"),
    )
    for parts, status, sentence in forms:
        with pytest.raises(Refusal, match=sentence) as refused:
            ask(tmp_path, form(*parts))
        assert refused.value.status == status
    texts = {
        r'{"url": "https://a/x", "classes": "\ud800"}': "a lone surrogate",
        '{"url": "https://a/x", "save": 5}': "save is 5",
        '{"url": "https://a/x", "save": ["csv", 5]}': "save is ",
        "{}": "no url was sent",
    }
    for text, sentence in texts.items():
        with pytest.raises(Refusal, match=sentence) as refused:
            ask(tmp_path, text.encode(), "application/json")
        assert refused.value.status == 422
    assert ask(tmp_path, form(video, ("fps", None, b"2"), ("save", None, b"csv"), ("save", None, b"masks"))).save == (
        "csv",
        "masks",
    )
    with pytest.raises(ValueError, match="masks is 'x', wanted one of usual, png"):
        Order("demo", tmp_path / "v.mp4", tmp_path, masks="x").check()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threshold is nan"):
        Order("demo", tmp_path / "v.mp4", tmp_path, threshold=float("nan")).check()


@pytest.mark.extra
def test_one_fault_does_not_stop_the_jobs_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avseg.service import runner

    monkeypatch.setattr(runner, "AGAIN", 0.01)

    def act(order: Order, *_: Any) -> None:
        if worker.runs == 1:
            raise JobError("no class \ud800")  # which the table cannot hold as it is

    worker = Fake(act)
    bench = Bench(tmp_path, worker, monkeypatch)
    first, second = bench.send(), bench.send()
    bench.until(lambda: bench.state(second) == "done")
    found = bench.service.store.find(first.id)
    assert found is not None and found.state == "failed" and found.fault == "no class \\ud800"
    # A disk that is full for a while: neither the runner nor the end of the job is lost.
    left = ["take", "end", "end"]
    for name in ("take", "end"):
        real = getattr(bench.service.store, name)

        def full(*words: Any, own: str = name, real: Any = real, **more: Any) -> Any:
            if left[:1] == [own]:
                left.pop(0)
                raise sqlite3.OperationalError("database or disk is full")
            return real(*words, **more)

        monkeypatch.setattr(bench.service.store, name, full)
    third = bench.send()
    bench.until(lambda: bench.state(third) == "done")
    assert not left
    bench.service.close()


def test_a_change_that_the_disk_has_no_room_for_leaves_the_table_usable(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    store._base.execute("PRAGMA max_page_count = 12")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.add("large", "me", {"model": "x" * 200_000})
    store._base.execute("PRAGMA max_page_count = 1000")
    assert store.add("after", "me", {}).state == "queued" and store.take() is not None
    store.close()


@pytest.mark.extra
def test_a_download_is_whole_although_its_job_is_removed_meanwhile(tmp_path: Path) -> None:
    needs("starlette")
    from avseg.service.sending import HeldFile

    (tmp_path / "seconds.csv").write_bytes(b"0123456789" * 20_000)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.sleep(60)

    def ask(*headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
        sent.clear()
        scope = {"type": "http", "method": "GET", "headers": headers}
        asyncio.run(answers.pop()(scope, receive, send))
        return sent[0]["status"], b"".join(message["body"] for message in sent[1:])

    answers = [HeldFile(tmp_path / "seconds.csv") for _ in range(2)]
    (tmp_path / "seconds.csv").unlink()
    assert ask() == (200, b"0123456789" * 20_000)
    assert ask((b"range", b"bytes=10-19")) == (206, b"0123456789")
    with pytest.raises(FileNotFoundError):
        HeldFile(tmp_path / "seconds.csv")


@pytest.mark.extra
def test_a_clock_that_is_set_removes_no_result_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("prometheus_client")
    from avseg.service import service

    bench = Bench(tmp_path, Fake(lambda *_: None), monkeypatch, keep=1000.0)
    job = bench.send()
    bench.until(lambda: bench.state(job) == "done")
    ahead = {"time": 0.0, "monotonic": 0.0}

    class Clock:
        time = staticmethod(lambda: time.time() + ahead["time"])
        monotonic = staticmethod(lambda: time.monotonic() + ahead["monotonic"])

    monkeypatch.setattr(service, "time", Clock)
    for wall, passed, state in ((0.0, 0.0, "done"), (1e6, 500.0, "done"), (-1e6, 990.0, "done"), (0.0, 1001.0, "gone")):
        ahead.update(time=wall, monotonic=passed)
        bench.service.sweep()
        assert bench.state(job) == state
    assert not bench.service.folder(job).exists()
    bench.service.close()


@pytest.mark.extra
def test_what_a_killed_service_was_receiving_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uploads" / "avseg-abc").mkdir(parents=True)
    (tmp_path / "uploads" / "tmp1").write_bytes(b"x")
    bench = Bench(tmp_path, Fake(lambda *_: None), monkeypatch)
    assert not list((tmp_path / "uploads").iterdir())
    bench.service.close()


def test_playlists_are_refused_and_name_no_file_of_this_machine(tmp_path: Path) -> None:
    video = make_video(tmp_path / "private.mp4")
    playlist = tmp_path / "v.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:3,\nfile://{video}\n#EXT-X-ENDLIST\n")
    beside = tmp_path / "w.mp4"
    beside.write_text("ffconcat version 1.0\nfile private.mp4\n")
    for path in (playlist, beside):
        for check in (Limits().check, Limits().check_sound):
            with pytest.raises(JobError, match=f"^{path.name} is a playlist, which names other files"):
                check(path)
    Limits().check(video)


def test_addresses_that_are_not_of_the_open_internet() -> None:
    inside = ("::127.0.0.1", "::7f00:1", "fec0::1", "64:ff9b:1::7f00:1", "5f00::1", "4000::1", "fe80::1%1")
    assert not [address for address in inside if is_public(ipaddress.ip_address(address))]


@pytest.fixture
def dripping() -> Iterator[int]:
    """A host whose header never ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                try:
                    while True:
                        connection.sendall(b"y")
                        time.sleep(0.05)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        yield listening.getsockname()[1]


def test_a_host_that_drips_its_header_is_left_in_time(tmp_path: Path, dripping: int) -> None:
    host = f"127.0.0.1:{dripping}"
    with pytest.raises(Refusal, match=r"within 0\.3 s") as refused:
        fetch(f"http://{host}/a.mp4", tmp_path / "video", (host,), 1000, 0.3, lambda _: True)
    assert refused.value.status == 504


def test_hosts_are_named_as_owners_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (a, 443)) for a in ("8.8.8.8", "8.8.4.4")]
    )

    def connect(address: Any, *_: Any, **__: Any) -> Any:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    for url in ("https://videos.example/a.mp4", "https://VIDEOS.example:443/a.mp4"):
        asked.clear()
        with pytest.raises(Refusal, match="does not send the video"):
            fetch(url, tmp_path, ("Videos.Example:443",), 1000, 5.0)
        assert asked == [("8.8.8.8", 443), ("8.8.4.4", 443)]  # the second where the first is not there
    with pytest.raises(Refusal, match="URLs of videos"):
        fetch("http://videos.example/a.mp4", tmp_path, ("Videos.Example:443",), 1000, 5.0)


def test_keys_are_those_that_a_header_can_hold(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\xef\xbb\xbffirst-key-of-a-file\r\n")
    assert Keys.read(file).owner("first-key-of-a-file")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        Keys.read(file)
    with pytest.raises(ValueError, match="API key 1 has a character that a header cannot hold") as refused:
        Keys(["schlüssel-von-jemandem"])
    assert "schl" not in str(refused.value)


@pytest.mark.extra
def test_pages_of_strangers_reach_no_service_without_keys() -> None:
    needs("starlette")
    from avseg.service.door import Door

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def status(anyone: bool, **headers: str) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
        asyncio.run(Door(app, anyone=anyone)(scope, None, send))  # type: ignore[arg-type]
        if sent[0]["status"] != 200:
            assert "without API keys" in json.loads(sent[1]["body"])["error"]
        return int(sent[0]["status"])

    for host in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert status(False, host=host) == status(False, host=host, origin=f"http://{host}") == 200
        assert status(False, host=host, origin="https://evil.example") == 403
        assert status(True, host=host, origin="null") == 403
    for host in ("evil.example", "127.0.0.1.evil.example:8000", "[::1", ""):
        assert status(False, host=host) == 403
    assert status(True, host="films.example", origin="https://films.example") == 200


@pytest.mark.extra
def test_what_cannot_be_served_is_told_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        needs(package)
    from avseg.service.server import serve

    monkeypatch.delenv("AVSEG_API_KEYS", raising=False)
    state = tmp_path / "state"
    with pytest.raises(FileNotFoundError, match="no file or model 'dmo'; did you mean 'demo'"):
        serve(Settings(("dmo",), state))
    with pytest.raises(ValueError, match=r"port 99999 .a port is 0 to 65535"):
        serve(Settings(("demo",), state), port=99_999)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ValueError, match=r"in use.*another --host or"):
        serve(Settings(("demo",), state), port=taken.getsockname()[1])
    for more, sentence in (
        ({"limits": Limits(seconds=-3.0)}, "the limit for seconds is -3"),
        ({"limits": Limits(work=float("nan"))}, "the limit for work is nan"),
        ({"keep": float("nan")}, "keep is nan"),
        ({"devices": ("tpu",)}, "no device 'tpu'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Settings(("demo",), state, **more)  # type: ignore[arg-type]
    assert not state.exists()
