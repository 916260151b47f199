"""Reading clips from shards beside reading them from single files, both in turn, through the loader of training.

`local`: the folder of a data set against its shards on the same disk, warm (files in memory) and cold (the system is
asked to forget them before each run). `proxy`: both through a small HTTP server of this script on the loopback, which
waits 20 ms before it answers a request; single files are read by the reader of the data set with a request each, a clip
of the shards with one request. Clips are of the synthetic world in the layout of S4 or AVSS, read in a shuffled order
and sized to 224 x 224. Times are the fastest of some runs. Prints JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness import in_turn, milliseconds, options_of, parser, tell

from avseg.config import InputSpec
from avseg.data import ClipDataset, build_dataset, eval_transforms, make_loader
from avseg.data.geometry import Geometry
from avseg.datasets import data_config, folders
from avseg.io import address, remote
from avseg.io.packed import held
from avseg.shards.pack import pack
from avseg.types import Clip

LATENCY = 0.02
"""s before the server answers."""


class Slow(BaseHTTPRequestHandler):
    """Files of a folder, whole or in part, each after a while."""

    protocol_version = "HTTP/1.1"
    root = Path()

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        time.sleep(LATENCY)
        path = self.root / self.path.lstrip("/")
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        begin, end = 0, size - 1
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last), size - 1) if last else size - 1
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end + 1 - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
        self.end_headers()
        if body:
            with path.open("rb") as file:
                file.seek(begin)
                self.wfile.write(file.read(end + 1 - begin))

    def log_message(self, *_: Any) -> None:
        """Nothing is printed for each request."""


def serve(root: Path) -> None:
    """Serve a folder until the process is ended; the port is printed."""
    Slow.root = root
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a folder behind the slow server, a process of its own."""
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(root)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()


class SingleFiles(ClipDataset):
    """A data set whose reader gets every file of a clip by a request of its own, when it opens it."""

    def __init__(self, dataset: Any, place: str) -> None:
        self.dataset, self.place = dataset, place
        self.task, self.suite, self.config, self.ids = dataset.task, dataset.suite, dataset.config, dataset.ids

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        names = [file.name for file in self.dataset.clip_files(index) if file.needed or "label" in file.role]
        files = {
            str(self.dataset.place_of(name)): partial(remote.read, address.joined(self.place, name)) for name in names
        }
        with held(files):
            return self.dataset.read(index, geometry, frames)


def forget(folder: Path) -> None:
    """Ask the system to drop the files of a folder from its memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reading(dataset: ClipDataset, workers: int, before: Callable[[], None] = lambda: None) -> Callable[[], int]:
    """A run that reads all clips of a data set in the order of one epoch; loaders are made once."""
    loader = make_loader(
        dataset,
        eval_transforms(dataset.config, InputSpec((224, 224))),
        batch_size=4,
        seed=0,
        shuffle=True,
        workers=workers,
    )

    def run() -> int:
        before()
        return sum(len(batch.ids) for batch in loader)

    return run


def compared(runs: dict[str, Callable[[], int]], repeats: int, clips: int) -> dict[str, Any]:
    """Milliseconds a clip of both sides, and how many times faster shards are."""
    took = {name: one.wall / clips for name, one in in_turn(runs, repeats).items()}
    ratio = round(took["single_files"] / took["shards"], 3)
    return {**{f"{name}_ms_a_clip": milliseconds(seconds, 2) for name, seconds in took.items()}, "times_faster": ratio}


def measure(name: str, clips: int, workers: int, repeats: int) -> dict[str, Any]:
    """All figures of one layout."""
    with tempfile.TemporaryDirectory() as folder:
        root, shards = Path(folder, "files"), Path(folder, "shards")
        folders.write(name, root, clips, seed=0, size=(224, 224), video=False)
        packed = pack(data_config(name, root=root), str(shards))
        plain = build_dataset(data_config(name, root=root), "train")
        sharded = build_dataset(data_config(name, shards=str(shards)), "train")
        count = len(plain)
        result: dict[str, Any] = {"layout": name, "clips": count, "workers": workers}
        result["bytes_a_clip"] = sum(shard.filesize for shard in packed.index.shardlist) // clips
        sides = {"single_files": plain, "shards": sharded}
        result["local"] = compared({k: reading(v, workers) for k, v in sides.items()}, repeats, count)
        cold = {
            "single_files": reading(plain, workers, partial(forget, root)),
            "shards": reading(sharded, workers, partial(forget, shards)),
        }
        result["local_cold"] = compared(cold, repeats, count)
        with served(Path(folder)) as place:
            far = build_dataset(data_config(name, shards=f"{place}/shards"), "train")
            sides = {"single_files": SingleFiles(plain, f"{place}/files"), "shards": far}
            result["proxy"] = compared({k: reading(v, workers) for k, v in sides.items()}, min(repeats, 3), count)
        result["proxy"]["latency_ms"] = milliseconds(LATENCY, 0)
    return result


def main() -> None:
    shared = parser(__doc__, threads=1)
    shared.add_argument("--layouts", nargs="+", default=["s4", "avss"], choices=("s4", "avss"))
    shared.add_argument("--clips", type=int, default=120)
    shared.add_argument("--workers", type=int, default=1)
    shared.add_argument("--repeats", type=int, default=5)
    shared.add_argument("--serve", type=Path, help="serve this folder slowly; the script starts that by itself")
    options = options_of(shared)
    if options.serve:
        serve(options.serve)
        return
    os.environ["AVSEG_CACHE"] = str(Path(tempfile.gettempdir(), f"avseg-benchmark-{os.getuid()}"))
    tell([measure(name, options.clips, options.workers, options.repeats) for name in options.layouts], options.out)


if __name__ == "__main__":
    main()
