"""The real service on loopback: bytes of `avseg predict`, hostile files and names, keys, limits, kills, restarts."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import socket
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from served import Server, serving

from avseg.inference.folder import predict_paths
from avseg.io.video import write_video
from extras import needs
from inference.media import counting, make
from jobs.test_limits import claims, gif
from own_videos import RATE, make_video

pytestmark = [
    pytest.mark.extra,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
KEY = "a-key-that-nobody-may-read-in-a-log"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        needs(package)
    limits = ("--max-mb", "2", "--max-seconds", "60", "--max-upload", "30", "--queue", "50")
    with serving(tmp_path_factory.mktemp("server") / "state", *limits, key=KEY) as made:
        yield made


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("videos") / "grey film ü.mp4")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "long.mp4"
    pictures = (np.full((120, 160, 3), number % 250, np.uint8) for number in range(400))
    return write_video(path, pictures, 10, np.zeros((1, 40 * RATE), np.float32), RATE)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}


def own(video: Path, out: Path, **options: object) -> dict[str, bytes]:
    predict_paths([str(video)], "demo", out, device="cpu", **options)  # type: ignore[arg-type]
    return files(out / video.stem)


@pytest.fixture(scope="module")
def of_long(long: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What `avseg predict` makes of the long film."""
    return own(long, tmp_path_factory.mktemp("own"), save=("csv",), fps=1.0)


def test_a_result_has_the_bytes_of_predict(server: Server, video: Path, tmp_path: Path) -> None:
    answer = server.send(video, save=["overlay", "masks,csv"], fps="2")
    job = answer.json()
    assert answer.status_code == 202 and answer.headers["location"] == job["links"]["self"]
    events = server.call("GET", job["links"]["events"]).text
    assert events.rstrip().split("\n")[-2] == "event: done"
    found = server.ended(job["id"])
    assert found["state"] == "done" and found["video"] == "grey film ü.mp4" and found["notes"] == []
    expected = own(video, tmp_path, save=("overlay", "masks", "csv"), fps=2.0)
    kinds = server.call("GET", found["links"]["files"]).json()
    assert unpacked(server.call("GET", kinds["all"]).content) == expected
    assert server.call("GET", kinds["overlay"]).content == expected["overlay.mp4"]
    assert server.call("GET", kinds["csv"]).content == expected["seconds.csv"]
    assert server.call("GET", found["links"]["result"]).json() == json.loads(expected["result.json"])
    masks = unpacked(server.call("GET", kinds["masks"]).content)
    assert masks == {name.removeprefix("masks/"): b for name, b in expected.items() if name.startswith("masks/")}
    assert not (server.folder / "jobs" / job["id"] / "video").exists()
    assert server.call("DELETE", job["links"]["self"]).status_code == 204
    assert server.job(job["id"])["status"] == 404 and not (server.folder / "jobs" / job["id"]).exists()


def test_names_and_ids_lead_nowhere(server: Server, video: Path) -> None:
    for name in ("../../../etc/passwd.mp4", "..\\..\\up.mp4", "/etc/cron.d/x.mp4", "..", ".hidden.mp4", "a\nb\x07.mp4"):
        job = server.send(video, name, save="csv").json()
        ended = server.ended(job["id"])
        assert ended["state"] == "done"
        assert "/" not in ended["video"] and "\\" not in ended["video"] and not ended["video"].startswith(".")
        assert [path.name for path in (server.folder / "jobs" / job["id"] / "out").iterdir()]
    tried = ("..%2f..%2fjobs.sqlite", "%2e%2e", "..", "%2fetc%2fpasswd", "x%00", "'%20OR%201=1")
    for part in tried:
        assert server.call("GET", f"/v1/predictions/{part}").status_code in (200, 404, 405)
        assert "etc" not in server.call("GET", f"/v1/predictions/{job['id']}/files/{part}").text
        assert server.call("GET", f"/v1/predictions/{job['id']}/files/{part}").status_code in (200, 404)
    assert {path.name for path in server.folder.iterdir()} >= {"jobs", "jobs.sqlite", "lock"}
    assert not (server.folder / "up.mp4").exists() and not Path("/etc/cron.d/x.mp4").exists()


def test_spoilt_files_end_in_a_sentence_or_a_result(
    server: Server, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    changes = importlib.import_module("hostile_changes")
    content, sent = video.read_bytes(), []
    for seed in range(16):
        (tmp_path / f"{seed}.mp4").write_bytes(changes.spoilt(content, Random(seed), [content[::-1]]))
        answer = server.send(tmp_path / f"{seed}.mp4", save="csv", fps="1")
        if answer.status_code == 202:
            sent.append(answer.json()["id"])
        else:
            sentence = answer.json()["error"]
            assert answer.status_code == 422 and sentence.startswith(f"{seed}.mp4") and "\n" not in sentence
    ended = [server.ended(job) for job in sent]
    assert {one["state"] for one in ended} <= {"done", "failed"} and len(sent) < 16
    for one in ended:
        assert one["state"] == "done" or (one["error"] and str(server.folder) not in one["error"])


def held(server: Server) -> int:
    """Bytes that the server and its processes hold."""
    assert server.process is not None
    own, total = server.process.pid, 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if own in (parent, int(path.parent.name)):
                total += int((path.parent / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


def test_files_above_a_limit_are_refused_by_their_header(server: Server, video: Path, tmp_path: Path) -> None:
    server.ended(server.send(video, save="csv").json()["id"])
    before = held(server)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2_000_001))
    cases = {
        claims(tmp_path / "huge.avi", 100_000, 100_000): (422, "huge.avi has no valid picture size"),
        gif(tmp_path / "wide.mp4", 16_000, 16_000): (422, "wide.mp4 has pictures of 16000 x 16000 pixels"),
        make(tmp_path / "hours.mp4", counting(2), times=[0.0, 36_000.0]): (422, "hours.mp4 lasts 36000."),
        large: (413, "large.mp4 has 2.0 MB, the limit is 2 MB"),
    }
    for path, (status, sentence) in cases.items():
        answer = server.send(path)
        assert answer.status_code == status and answer.json()["error"].startswith(sentence)
    assert held(server) < before + 300_000_000
    (tmp_path / "larger.mp4").write_bytes(bytes(8_000_000))
    assert server.send(tmp_path / "larger.mp4").status_code == 413


def test_fields_that_cannot_be_taken_are_refused(server: Server, video: Path) -> None:
    cases = (
        ({"model": "/etc/passwd"}, "there is no model '/etc/passwd' here"),
        ({"treshold": "0.5"}, "there is no field 'treshold'; did you mean 'threshold'"),
        ({"fps": "fast"}, "fps is 'fast', wanted a number"),
        ({"fps": "nan"}, "fps is nan"),
        ({"save": "mask"}, "there is no kind of output 'mask'"),
        ({"choices": '{"vocabulary": "/etc/passwd"}'}, "vocabulary is '/etc/passwd', which is the name of a file"),
        ({"choices": "{"}, "choices is not valid JSON"),
        ({"options": '{"candidates": "x"}'}, "the option candidates is 'x'"),
        ({"style": '{"opacity": 3}'}, "the opacity of an overlay is 3"),
        ({"start": "soon"}, "start is 'soon'"),
    )
    for fields, sentence in cases:
        answer = server.send(video, **fields)
        assert answer.status_code == 422 and answer.json()["error"].startswith(sentence), answer.text
    assert server.call("POST", "/v1/predictions", data={"fps": "1"}).status_code == 415
    assert server.call("POST", "/v1/predictions", json={"url": "http://127.0.0.1/x.mp4"}).status_code == 403
    assert (
        server.call("POST", "/v1/predictions", content=b"{", headers={"Content-Type": "application/json"}).status_code
        == 400
    )
    assert server.call("POST", "/v1/predictions", files={"other": b"x"}).status_code == 422
    # What a model does not know is told when the job has failed.
    failed = server.ended(server.send(video, classes="unicorn").json()["id"])
    assert failed["state"] == "failed" and failed["error"].startswith("this model has no class 'unicorn'")
    assert server.call("GET", f"/v1/predictions/{failed['id']}/result").status_code == 404


def test_no_key_is_ever_repeated(server: Server, video: Path) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"Basic {KEY}"}):
        for method, path in (
            ("GET", "/v1/predictions"),
            ("GET", "/metrics"),
            ("GET", "/v1/models"),
            ("POST", "/v1/predictions"),
        ):
            answer = server.call(method, path, headers=headers)
            assert (
                answer.status_code == 401 and KEY not in answer.text and "Bearer" in answer.headers["www-authenticate"]
            )
    assert server.call("GET", "/v1/models", headers={"Authorization": "", "X-API-Key": KEY}).json() == {
        "models": ["demo"]
    }
    assert KEY not in server.call("GET", f"/v1/predictions?key={KEY}").text
    assert server.call("GET", f"/v1/{KEY}").status_code == 404
    assert server.call(
        "GET", "/v1/predictions", headers={"Authorization": f"Bearer {KEY}", "X-API-Key": KEY}
    ).is_success
    assert KEY not in server.log.read_text() and server.log.read_text().count("401") >= 12
    for path in server.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_cancelled_job_stops_within_two_seconds_and_leaves_nothing(server: Server, long: Path) -> None:
    job = server.send(long).json()
    server.working(job["id"])
    waiting = server.send(long).json()
    assert server.call("DELETE", waiting["links"]["self"]).json()["state"] == "cancelled"
    answer = server.call("DELETE", job["links"]["self"])
    assert answer.json()["state"] == "cancelled"
    assert list((server.folder / "jobs" / job["id"]).iterdir()) == []
    assert server.call("GET", f"/v1/predictions/{job['id']}/result").status_code == 404


def test_a_worker_that_is_killed_costs_nothing(server: Server, long: Path, of_long: dict[str, bytes]) -> None:
    job = server.send(long, save="csv", fps="1").json()
    os.kill(server.working(job["id"]), signal.SIGKILL)
    found = server.ended(job["id"])
    assert found["state"] == "done"
    packed = server.call("GET", f"/v1/predictions/{job['id']}/files/all").content
    assert unpacked(packed) == of_long
    assert "avseg_worker_deaths_total 1.0" in server.call("GET", "/metrics").text


def test_jobs_outlive_a_kill_of_the_server(
    server: Server, video: Path, long: Path, of_long: dict[str, bytes], tmp_path: Path
) -> None:
    first = server.send(long, token="one", save="csv", fps="1").json()
    second = server.send(video, token="two", save="csv", fps="1").json()
    worker = server.working(first["id"])
    server.end(signal.SIGKILL)
    server.start()
    assert server.send(video, token="two", save="csv", fps="1").json()["id"] == second["id"]
    of_video = own(video, tmp_path, save=("csv",), fps=1.0)
    for job, expected in ((first, of_long), (second, of_video)):
        assert server.ended(job["id"])["state"] == "done"
        packed = server.call("GET", f"/v1/predictions/{job['id']}/files/all").content
        assert unpacked(packed) == expected
    listed = [one["id"] for one in server.call("GET", "/v1/predictions").json()]
    assert len(listed) == len({*listed}) and listed.count(second["id"]) == 1
    assert not Path(f"/proc/{worker}").exists()
    assert not list(server.folder.rglob(".*.part*"))


def test_a_full_queue_and_a_slow_upload_are_refused(tmp_path: Path, long: Path, server: Server) -> None:
    with serving(tmp_path / "small", "--queue", "1", "--max-upload", "2") as small:
        with socket.create_connection(("127.0.0.1", small.port), timeout=120) as slow:
            head = (
                "POST /v1/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            )
            slow.sendall(f"{head}Content-Length: 1000\r\n\r\n--b\r\n".encode())
            assert b" 408 " in slow.recv(10_000)
        job = small.send(long).json()
        refused = small.send(long)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        assert "queue is full" in refused.json()["error"]
        small.call("DELETE", job["links"]["self"])
        assert small.send(long).status_code == 202
        assert small.end() == 0 and "Traceback" not in small.log.read_text()
