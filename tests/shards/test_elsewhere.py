"""Shards behind a web server and in a bucket of a real S3 server (moto's, in a process of its own)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alike import same
from avseg.data import make_loader
from avseg.datasets import build_dataset, data_config, folders
from avseg.io import remote
from avseg.shards.pack import pack
from buckets import KEY, SECRET, keys_for, s3_server
from extras import needs

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `files`, the clips, and `shards`."""
    made: Path = tmp_path_factory.mktemp("made")
    folders.write("s4", made / "files", 8, seed=1, workers=1, size=(32, 40), video=False)
    pack(data_config("s4", root=made / "files"), str(made / "shards"))
    return made


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSEG_CACHE", str(tmp_path / "cache"))


class Handler(SimpleHTTPRequestHandler):
    """Python's own web server, which knows no parts of files."""

    asked: tuple[str, ...] = ()

    def do_GET(self) -> None:
        type(self).asked += (self.path.rpartition("/")[2],)
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


class Parts(Handler):
    """The same with parts."""

    def do_GET(self) -> None:
        found = self.headers.get("Range", "").removeprefix("bytes=")
        if not found:
            super().do_GET()
            return
        type(self).asked += (self.path.rpartition("/")[2],)
        begin, end = map(int, found.split("-"))
        content = Path(self.translate_path(self.path)).read_bytes()[begin : end + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def served(handler: type[Handler], folder: Path) -> Iterator[str]:
    needs("aiohttp")
    handler.asked = ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def with_parts(made: Path) -> Iterator[str]:
    yield from served(Parts, made)


@pytest.fixture
def without_parts(made: Path) -> Iterator[str]:
    yield from served(Handler, made)


def test_a_clip_is_one_request(made: Path, with_parts: str) -> None:
    """Also in the loader's processes, which are forked after the index was read."""
    near, far = (
        build_dataset(data_config("s4", **place), "train")
        for place in ({"root": made / "files"}, {"shards": f"{with_parts}/shards"})
    )
    assert sorted(Parts.asked) == ["clips.jsonl", "index.json", "tables.tar"]
    Parts.asked = ()
    same(far[1], near[1])
    assert Parts.asked == ("train-000000.tar",)
    batches = [list(make_loader(data, batch_size=2, seed=3, shuffle=True, workers=2)) for data in (far, near)]
    same(*batches)
    assert Parts.asked == ("train-000000.tar",) * (1 + len(far))


def test_a_server_that_knows_no_parts_is_refused(without_parts: str) -> None:
    far = build_dataset(data_config("s4", shards=f"{without_parts}/shards"), "train")
    with pytest.raises(OSError, match=r"train-000000\.tar sends whole files instead of parts"):
        far[1]
    with pytest.raises(FileNotFoundError, match=r"http://.*/nowhere/index\.json is missing"):
        build_dataset(data_config("s4", shards=f"{without_parts}/nowhere"), "train")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket."""
    with s3_server() as server, keys_for(server, monkeypatch):
        from s3fs import S3FileSystem

        S3FileSystem().mkdir("clips")
        yield "s3://clips"


def test_a_bucket_holds_shards_and_checkpoints(
    made: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(data_config("s4", root=made / "files"), f"{bucket}/s4")
    assert remote.listed(f"{bucket}/s4") == sorted(path.name for path in (made / "shards").iterdir())
    near, far = (
        build_dataset(data_config("s4", **place), "train")
        for place in ({"root": made / "files"}, {"shards": f"{bucket}/s4"})
    )
    same([far[index] for index in range(2)], [near[index] for index in range(2)])
    same(*(list(make_loader(data, batch_size=2, workers=1)) for data in (far, near)))
    with pytest.raises(ValueError, match="s3://clips/s4 already holds shards"):
        pack(data_config("s4", root=made / "files"), f"{bucket}/s4")
    remote.write(f"{bucket}/run/checkpoints/step-000000002.pt", b"content")
    assert remote.listed(f"{bucket}/run/checkpoints") == ["step-000000002.pt"]
    remote.download(f"{bucket}/run/checkpoints/step-000000002.pt", tmp_path / "there" / "step.pt")
    assert (tmp_path / "there" / "step.pt").read_bytes() == b"content"
    remote.remove(f"{bucket}/run/checkpoints/step-000000002.pt")
    assert not remote.exists(f"{bucket}/run/checkpoints/step-000000002.pt")
    with pytest.raises(
        OSError, match=r"s3://none/s4/.* cannot be written: the bucket or folder does not exist"
    ) as error:
        pack(data_config("s4", root=made / "files"), "s3://none/s4")
    assert SECRET not in str(error.value) and KEY not in str(error.value)
