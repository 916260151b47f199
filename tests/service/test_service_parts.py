"""Parts of the service without its process: the queue, retries, expiry, URLs, keys, names, slow uploads, the page."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from avseg.cli import run
from avseg.jobs import JobError, JobStopped, Order, WorkerDied
from avseg.service.fetch import fetch, is_public
from avseg.service.keys import Keys
from avseg.service.lock import folder_lock
from avseg.service.names import safe_name
from avseg.service.refusal import Refusal
from avseg.service.settings import Settings
from avseg.service.store import Job, Store
from extras import needs


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "jobs.sqlite")
    yield made
    made.close()


def test_jobs_go_in_order_and_come_back_in_front(store: Store) -> None:
    for name in "abc":
        store.add(name, "me", {"model": "demo"})
    first = store.take()
    assert first is not None and (first.id, first.starts, first.state) == ("a", 1, "running")
    assert store.again("a", died=True)
    second = store.take()
    assert second is not None and (second.id, second.starts, second.deaths) == ("a", 2, 1)
    assert store.end("a", "done", notes=("cut short",)) and not store.end("a", "failed")
    assert store.cancel("b") and not store.cancel("b") and not store.cancel("a")
    third = store.take()
    assert third is not None and third.id == "c" and store.take() is None
    assert not store.forget("c") and store.forget("a") and store.find("a") is None
    assert store.recover() == 1 and store.counts()["queued"] == 1


def test_what_is_sent_twice_is_one_job(store: Store) -> None:
    first = store.add("a", "me", {}, "token")
    assert store.add("b", "me", {}, "token").id == first.id == "a"
    assert store.add("c", "you", {}, "token").id == "c" and store.add("d", "me", {}).id == "d"
    assert [job.id for job in store.of("me")] == ["d", "a"]


def test_a_job_that_was_cancelled_does_not_end_otherwise(store: Store) -> None:
    store.add("a", "me", {})
    store.take()
    assert store.cancel("a")
    assert not store.end("a", "done") and not store.again("a") and store.was_cancelled("a")


class Fake:
    """A worker that does what it is told."""

    device, pid = "cpu", 1

    def __init__(self, act: Callable[[Order, Any, threading.Event], None]) -> None:
        self.act, self.runs = act, 0

    def run(self, order: Order, told: Any, stop: threading.Event, limits: Any, alone: bool = False) -> Path:
        self.runs += 1
        self.act(order, told, stop)
        folder = order.out / "video"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text("{}")
        return folder

    def warm(self) -> None: ...

    def close(self) -> None: ...


class Bench:
    """A service without HTTP, whose worker is a fake or of another class."""

    def __init__(
        self, folder: Path, worker: Fake | type[Any], monkeypatch: pytest.MonkeyPatch, **settings: Any
    ) -> None:
        needs("prometheus_client")
        from avseg.service import service

        monkeypatch.setattr(service, "Worker", worker if isinstance(worker, type) else lambda *_: worker)
        self.service = service.Service(Settings(("demo",), folder, **settings))
        monkeypatch.setattr(self.service.checker, "check", lambda *_, **__: None)
        self.service.start()

    def send(self, film: Path | None = None, **more: Any) -> Job:
        with self.service.arriving() as folder:
            video = folder / "video" / (film.name if film else "video.mp4")
            video.parent.mkdir()
            video.write_bytes(film.read_bytes() if film else b"")
            return self.service.submit(folder, Order("demo", video, folder / "out", **more), "me")

    def until(self, true: Callable[[], Any]) -> None:
        for _ in range(6000):
            if true():
                return
            time.sleep(0.01)
        raise AssertionError

    def state(self, job: Job) -> str:
        found = self.service.store.find(job.id)
        return found.state if found else "gone"


@pytest.mark.extra
def test_a_job_on_which_the_process_dies_is_tried_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> None:
        raise WorkerDied("the process that segments videos ended unexpectedly (signal 11)")

    worker = Fake(die)
    bench = Bench(tmp_path, worker, monkeypatch)
    job = bench.send()
    bench.until(lambda: bench.state(job) == "failed")
    found = bench.service.store.find(job.id)
    assert found is not None and worker.runs == 2
    assert found.fault.endswith("ended unexpectedly (signal 11), in each of 2 attempts")
    worker.act = lambda *_: None
    other = bench.send()
    bench.until(lambda: bench.state(other) == "done")
    bench.until(lambda: not (tmp_path / "jobs" / other.id / "video").exists())
    bench.service.close()


@pytest.mark.extra
def test_a_service_that_is_closed_leaves_its_job_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(order: Order, told: Any, stop: threading.Event) -> None:
        if not stop.wait(20):
            raise JobError("nobody stopped it")
        raise JobStopped

    bench = Bench(tmp_path, Fake(wait), monkeypatch)
    job, cancelled = bench.send(), bench.send()
    bench.until(lambda: bench.state(job) == "running")
    with pytest.raises(ValueError, match="another avseg serve uses"):
        folder_lock(tmp_path)
    assert bench.service.cancel(cancelled).state == "cancelled"
    bench.service.close()
    again = Bench(tmp_path, Fake(lambda *_: None), monkeypatch)
    again.until(lambda: again.state(job) == "done")
    assert again.state(cancelled) == "cancelled"
    again.service.close()


@pytest.mark.extra
def test_results_are_removed_when_their_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, Fake(lambda *_: None), monkeypatch, keep=0.2, queue=1)
    job = bench.send()
    bench.until(lambda: bench.state(job) == "gone")
    bench.until(lambda: not list((tmp_path / "jobs").iterdir()))
    with bench.service.arriving(), pytest.raises(Refusal, match="the queue is full with 1 jobs") as refused:
        bench.send()
    assert refused.value.status == 429 and not list((tmp_path / "jobs").iterdir())
    bench.service.close()


def test_addresses_inside_a_network_are_told_from_public_ones() -> None:
    inside = (
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
        *("2002:7f00:1::", "64:ff9b::7f00:1", "::", "ff02::1"),
    )
    assert not [address for address in inside if is_public(ipaddress.ip_address(address))]
    assert is_public(ipaddress.ip_address("8.8.8.8")) and is_public(ipaddress.ip_address("2606:4700::1111"))


class Other(BaseHTTPRequestHandler):
    """Another host, which gives videos or something worse."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 200)
        if self.path == "/away":
            self.send_header("Location", "http://127.0.0.1/secret")
        if self.path == "/cut":
            self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 50)
        if self.path == "/slow":
            with suppress(ConnectionError):
                for _ in range(40):
                    time.sleep(0.05)
                    self.wfile.write(b"y")

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def other() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def test_a_url_gives_its_file_and_nothing_else(tmp_path: Path, other: int) -> None:
    def get(path: str, most: int = 1000, seconds: float = 5.0, folder: str = "video", **more: Any) -> Path:
        host = f"127.0.0.1:{other}"
        return fetch(
            f"http://{host}{path}", tmp_path / folder, (host,), most, seconds, **{"allowed": lambda _: True, **more}
        )

    assert get("/a%2f..%2ffilm.mp4?x=1").read_bytes() == b"x" * 50
    assert [path.parent for path in tmp_path.rglob("*.mp4")] == [tmp_path / "video"]
    cases: tuple[tuple[int, str, dict[str, Any]], ...] = (
        (502, "status 302; send the URL to which it redirects", {"path": "/away"}),
        (413, "larger than", {"path": "/film", "most": 10}),
        (504, "within 0.1 s", {"path": "/slow", "seconds": 0.1}),
        (502, "does not send the video", {"path": "/cut"}),
        (403, "a private address", {"path": "/film", "allowed": is_public}),
    )
    for place, (status, sentence, words) in enumerate(cases):
        with pytest.raises(Refusal, match=sentence) as refused:
            get(folder=str(place), **words)
        assert refused.value.status == status


def test_urls_that_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [(2, 1, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    cases = {
        "http://videos.example/a.mp4": (403, "has a private address"),
        "http://other.example/a.mp4": (403, r"URLs of other\.example are not accepted here"),
        "http://videos.example:22/a.mp4": (403, r"URLs of videos\.example:22"),
        "http://videos.example@other.example/a.mp4": (422, "not contain a user name or a password"),
        "http://me:secret@videos.example/a.mp4": (422, "not contain a user name or a password"),
        "file:///etc/passwd": (422, "must begin with"),
        "http://videos.example/a b.mp4": (422, "hold no spaces"),
        "http://videos.example/\r\nX: y": (422, "hold no spaces"),
        "http://[::1/": (422, "not a valid URL"),
        "http://videos.example:99999/": (422, "not a valid URL"),
    }
    for url, (status, sentence) in cases.items():
        with pytest.raises(Refusal, match=sentence) as refused:
            fetch(url, tmp_path, ("videos.example",), 1000, 1.0)
        assert refused.value.status == status and "secret" not in refused.value.sentence
    assert asked == ["videos.example"]
    with pytest.raises(Refusal, match="this service accepts no URLs"):
        fetch("http://videos.example/a.mp4", tmp_path, (), 1000, 1.0)


def test_the_address_that_was_checked_is_the_one_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer of the name server may be another one."""
    answers = iter(["8.8.8.8", "127.0.0.1"])
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (next(answers), 80))])

    def connect(address: Any, *_: Any) -> Any:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Refusal, match="does not send the video"):
        fetch("http://videos.example/a.mp4", tmp_path, ("videos.example",), 1000, 1.0)
    assert asked == [("8.8.8.8", 80)]


def test_keys_are_told_apart_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSEG_API_KEYS", "first-key-of-somebody,second-key-of-another")
    keys = Keys.read()
    owners = [keys.owner("first-key-of-somebody"), keys.owner("second-key-of-another")]
    assert all(owners) and len({*owners}) == 2
    assert keys.owner("first-key-of-somebod") is keys.owner("") is keys.owner(None) is None
    file = tmp_path / "keys"
    file.write_text("# mine\n\nthird-key-of-a-file\n")
    assert Keys.read(file).owner("third-key-of-a-file") and not Keys.read(file).owner("first-key-of-somebody")
    file.write_text("short\n")
    with pytest.raises(ValueError, match="API key 1 has 5 characters") as refused:
        Keys.read(file)
    assert "short" not in str(refused.value)
    file.write_text("# none\n")
    with pytest.raises(ValueError, match="holds no API key"):
        Keys.read(file)
    monkeypatch.delenv("AVSEG_API_KEYS")
    assert not Keys.read() and Keys.read().owner(None) == "anyone"


def test_names_are_made_harmless() -> None:
    cases = {
        "../../etc/passwd": "passwd",
        "..\\up.mp4": "up.mp4",
        "..": "video",
        "": "video",
        ".mp4": "mp4",
        "Mein Film (1) ü.mov": "Mein Film (1) ü.mov",
        "a\x00b\nc.mp4": "a_b_c.mp4",
        "C:\\x:y.mp4": "x_y.mp4",
        "a. .mp4": "a.mp4",
    }
    assert {name: safe_name(name) for name in cases} == cases
    assert len(safe_name("ü" * 500 + ".mp4").encode()) <= 130 and safe_name("ü" * 500 + ".mp4").endswith("ü.mp4")
    assert safe_name(None, "audio") == "audio"


@pytest.mark.extra
def test_an_upload_has_a_time_and_a_size(tmp_path: Path) -> None:
    for package in ("fastapi", "python_multipart", "prometheus_client"):
        needs(package)
    from starlette.requests import Request

    from avseg.service.upload import read_request

    async def read(receive: Any, headers: dict[str, str], upload: float) -> Any:
        scope = {"type": "http", "method": "POST", "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
        settings = Settings(("demo",), tmp_path, upload=upload)
        return await read_request(Request(scope, receive), tmp_path, settings)

    async def drops() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"-", "more_body": True}

    async def floods() -> Any:
        return {"type": "http.request", "body": b"-" * 300_000, "more_body": True}

    form, plain = {"content-type": "multipart/form-data; boundary=b"}, {"content-type": "application/json"}
    cases = ((drops, plain, 0.2, 408), (floods, plain, 9.0, 413), (drops, {}, 9.0, 415))
    for receive, headers, upload, status in cases:
        with pytest.raises(Refusal) as refused:
            asyncio.run(read(receive, headers, upload))
        assert refused.value.status == status
    with pytest.raises(Refusal, match="at most 1001 MB") as refused:
        asyncio.run(read(floods, {**form, "content-length": "99999999999"}, 9.0))
    assert refused.value.status == 413


@pytest.mark.extra
def test_the_page_names_every_request_and_loads_nothing(tmp_path: Path) -> None:
    for package in ("fastapi", "python_multipart", "prometheus_client"):
        needs(package)
    from avseg.service.app import make_app
    from avseg.service.page import page_of
    from avseg.service.service import Service

    service = Service(Settings(("demo",), tmp_path))
    document = make_app(service, Keys()).openapi()
    page = page_of(document)
    assert all(path in page for path in document["paths"]) and "multipart/form-data" in page
    assert not re.findall(r"<script|<link|<img|src=|https?:", page.replace("https://...", ""))
    service.store.close()


@pytest.mark.extra
def test_other_machines_are_let_in_with_a_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        needs(package)
    from avseg.service.server import serve

    monkeypatch.delenv("AVSEG_API_KEYS", raising=False)
    with pytest.raises(ValueError, match=r"other machines can reach 0\.0\.0\.0, but there are no API keys"):
        serve(Settings(("demo",), tmp_path / "state"), host="0.0.0.0")
    with pytest.raises(FileNotFoundError, match=r"the model file .*none\.safetensors is missing"):
        serve(Settings((str(tmp_path / "none.safetensors"),), tmp_path / "state"))
    with pytest.raises(ValueError, match="two models have the same name"):
        Settings(("a/model.safetensors", "b/model.safetensors"), tmp_path)
    assert not (tmp_path / "state").exists()


def test_a_missing_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avseg.commands.serve.find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(ImportError, match=r'^the service needs uvicorn; install with: pip install "avseg\[serve\]"$'):
        run(["serve", "demo"])
