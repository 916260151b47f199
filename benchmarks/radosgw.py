"""`avseg batch` with buckets of radosgw, the S3 server of Ceph, beside the same batch with folders.

Starts Ceph on this machine: a monitor, one store in memory and radosgw, all in a temporary folder and as the user who
calls. Where Ceph is not installed, Debian's packages are downloaded and unpacked into a folder (70 MB, 260 MB
unpacked), and nothing is installed. Each case writes to a bucket of its own, whose files are compared with those of the
folder; then the tests of buckets run on that server. Prints JSON; the exit status is 1 where a case went wrong.

    python benchmarks/radosgw.py --ceph ~/.cache/ceph    # the folder is kept for the next time
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from films_of_batches import digests, make_films

ROOT = Path(__file__).parents[1]
TESTS = ("tests/batch/test_bucket.py", "tests/shards/test_elsewhere.py::test_a_bucket_holds_shards_and_checkpoints")
PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")
PATIENCE = 180
"""s until a server must answer."""
CONF = """
[global]
fsid = {fsid}
mon_host = {monitor}
run_dir = {work}
log_file =
pid_file =
admin_socket = {work}/$name.$pid.asok
keyring = {work}/keyring
mon_data = {work}/mon
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
osd_data = {work}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
rgw_data = {work}/rgw
{libraries}
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port}
"""
"""Of a cluster with a single copy of everything, which is gone when it ends."""
LIBRARIES = """
osd_class_dir = {lib}/rados-classes
plugin_dir = {lib}/ceph
erasure_code_dir = {lib}/ceph/erasure-code
"""
ALL = ("mon", "allow *", "osd", "allow *")
ACCESS = {
    "mon.": ("mon", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
    "client.admin": ALL,
    "client.rgw": ALL,
}
"""Who may do what."""


def unpacked(folder: Path) -> Path:
    """A folder with the programs of Ceph and all that they need, of Debian's packages."""
    done = folder / "done"
    if done.is_file():
        return folder
    with tempfile.TemporaryDirectory() as name:
        told = called(["apt-get", "install", "--simulate", "--no-install-recommends", *PACKAGES])
        wanted = re.findall(r"^Inst (\S+)", told, re.MULTILINE)
        called(["apt-get", "download", *wanted], cwd=name)
        for package in Path(name).glob("*.deb"):
            called(["dpkg-deb", "--extract", str(package), str(folder)])
    done.touch()
    return folder


def called(words: Sequence[str], **more: Any) -> str:
    """What a command prints."""
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=600, **more)
    if ended.returncode:
        sys.exit(f"{' '.join(words[:3])} ended with {ended.returncode}: {ended.stderr[-1000:]}")
    return ended.stdout


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Ceph:
    """The servers, from the constructor to `close`.

    Args:
        work: a folder for all that they write.
        programs: where the packages are unpacked; None: they are installed.
    """

    def __init__(self, work: Path, programs: Path | None) -> None:
        begun = time.monotonic()
        self.keys = {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
        self._work, self._servers = work, list[subprocess.Popen[bytes]]()
        self._environ, lib = dict(os.environ), Path()
        if programs is not None:
            lib = next((programs / "usr/lib").glob("*-linux-gnu"))
            paths = (lib, lib / "ceph", programs / "lib" / lib.name)
            self._environ["LD_LIBRARY_PATH"] = ":".join(map(str, paths))
            self._environ["PATH"] = f"{programs}/usr/bin:{os.environ['PATH']}"
            self._environ["PYTHONPATH"] = f"{programs}/usr/lib/python3/dist-packages"
        self._environ["CEPH_CONF"] = str(work / "ceph.conf")
        monitor = f"[v2:127.0.0.1:{free_port()},v1:127.0.0.1:{free_port()}]"
        fsid, port = str(uuid.uuid4()), free_port()
        self.address = f"http://127.0.0.1:{port}"
        libraries = "" if programs is None else LIBRARIES.format(lib=lib)
        conf = CONF.format(fsid=fsid, monitor=monitor, work=work, libraries=libraries, port=port)
        (work / "ceph.conf").write_text(conf)
        for name in ("mon", "osd", "rgw"):
            (work / name).mkdir()
        try:
            self._begin(fsid, monitor)
        except BaseException:
            self.close()
            raise
        self.version = self._call("ceph-mon", "--version").split(" (")[0]
        self.seconds = time.monotonic() - begun

    def _begin(self, fsid: str, monitor: str) -> None:
        keyring, monitors = str(self._work / "keyring"), str(self._work / "monitors")
        for number, (name, access) in enumerate(ACCESS.items()):
            new = ["--create-keyring"] if number == 0 else []
            caps = [word for pair in zip(access[::2], access[1::2], strict=True) for word in ("--cap", *pair)]
            self._call("ceph-authtool", *new, keyring, "--gen-key", "-n", name, *caps)
        self._call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor, monitors)
        self._call("ceph-mon", "-i", "a", "--mkfs", "--monmap", monitors, "--keyring", keyring)
        self._start("ceph-mon", "-f", "-i", "a")
        store = str(uuid.uuid4())
        self._call("/usr/bin/python3", self._where("ceph"), "--connect-timeout", str(PATIENCE), "osd", "new", store)
        self._call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        self._start("ceph-osd", "-f", "-i", "0")
        self._start("radosgw", "-f", "-n", "client.rgw")
        until = time.monotonic() + PATIENCE
        while not self._answers():
            if time.monotonic() > until or any(server.poll() is not None for server in self._servers):
                told = "\n".join(path.read_text(errors="replace")[-1000:] for path in self._work.glob("*.told"))
                sys.exit(f"Ceph did not start:\n{told}")
            time.sleep(0.1)
        key, secret = self.keys.values()
        user = ["user", "create", "--uid", "avseg", "--display-name", "avseg"]
        self._call("radosgw-admin", "-n", "client.rgw", *user, "--access-key", key, "--secret-key", secret)

    def _where(self, program: str) -> str:
        return shutil.which(program, path=self._environ["PATH"]) or sys.exit(f"{program} is missing")

    def _call(self, program: str, *words: str) -> str:
        return called([self._where(program), *words], env=self._environ)

    def _start(self, program: str, *words: str) -> None:
        with (self._work / f"{program}.told").open("wb") as told:
            command = [self._where(program), *words]
            self._servers.append(subprocess.Popen(command, env=self._environ, stdout=told, stderr=told))

    def _answers(self) -> bool:
        with suppress(URLError, OSError), closing(urlopen(self.address, timeout=5)):
            return True
        return False

    def close(self) -> None:
        """End the servers."""
        for server in reversed(self._servers):
            server.kill()  # nothing of theirs is kept
            server.wait()


@dataclass
class Bench:
    """Films in a bucket, and what a batch with folders makes of them."""

    work: Path
    environ: dict[str, str]
    files: Any
    """What opens buckets."""
    expected: dict[str, str] = field(default_factory=dict)

    def words(self, source: str, out: str) -> list[str]:
        """A command."""
        own = ["--model", "demo", "--fps", "1", "--devices", "cpu", "--masks", "parquet", "--parquet-files", "3"]
        return [sys.executable, "-m", "avseg", "batch", source, "--out", out, *own, "--runner", "local", "--jobs", "2"]

    def start(self, bucket: str) -> subprocess.Popen[str]:
        """A driver."""
        self.files.makedirs(bucket, exist_ok=True)
        words = self.words("s3://films/clips", f"s3://{bucket}/out")
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=self.environ, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def ended(self, driver: subprocess.Popen[str]) -> list[str]:
        """What is wrong with how a driver ends."""
        told = "".join(driver.communicate(timeout=3600))
        return [f"a driver ended with {driver.returncode}: {told[-500:]}"] if driver.returncode else []

    def found(self, bucket: str) -> dict[str, str]:
        """Digests of results and tables."""
        prefix = f"{bucket}/out/"
        names = {path.removeprefix(prefix): path for path in self.files.find(prefix)}
        kept = {name: path for name, path in names.items() if name.startswith(("videos/", "masks/"))}
        return {name: hashlib.sha256(self.files.cat_file(path)).hexdigest() for name, path in kept.items()}

    def wrong(self, bucket: str) -> list[str]:
        """What is lost, too many, or of other bytes, and what the manifest says otherwise."""
        found = self.found(bucket)
        wrong = [f"lost: {name}" for name in self.expected if name not in found]
        wrong += [f"too many: {name}" for name in found if name not in self.expected]
        wrong += [f"differs: {name}" for name in found if self.expected.get(name, found[name]) != found[name]]
        manifest = f"{bucket}/out/manifest.jsonl"
        if not self.files.exists(manifest):
            return [*wrong, "there is no manifest"]
        rows = [json.loads(line) for line in self.files.cat_file(manifest).splitlines()]
        results = (name for name in self.expected if name.endswith("/result.json"))
        listed = sorted(name.removeprefix("videos/").removesuffix("/result.json") for name in results)
        if [row["id"] for row in rows] != listed:
            wrong.append(f"the manifest has {len(rows)} rows for {len(listed)} videos")
        return wrong + [f"{row['status']}: {row['id']}" for row in rows if row["status"] != "done"]


def case_batch(bench: Bench) -> list[str]:
    """From a bucket to a bucket, and once more, with nothing left to do."""
    wrong = bench.ended(bench.start("bench-whole")) + bench.wrong("bench-whole")
    before = bench.files.find("bench-whole/out/videos", detail=True)
    again = bench.ended(bench.start("bench-whole")) + bench.wrong("bench-whole")
    after = bench.files.find("bench-whole/out/videos", detail=True)
    moved = [path for path, entry in after.items() if entry["LastModified"] != before[path]["LastModified"]]
    return wrong + again + [f"written again: {path}" for path in moved]


def case_two(bench: Bench) -> list[str]:
    """Two drivers with one output."""
    drivers = [bench.start("bench-two") for _ in range(2)]
    return [wrong for driver in drivers for wrong in bench.ended(driver)] + bench.wrong("bench-two")


def case_killed(bench: Bench) -> list[str]:
    """kill -9 of the driver after its second result, and a second run."""
    driver = bench.start("bench-killed")
    while sum(name.endswith("result.json") for name in bench.found("bench-killed")) < 2:
        if driver.poll() is not None:
            return ["the driver ended before it was killed; give more --videos", *bench.ended(driver)]
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    return bench.ended(bench.start("bench-killed")) + bench.wrong("bench-killed")


def case_tests(bench: Bench) -> list[str]:
    """The tests of buckets, on this server."""
    words = [sys.executable, "-m", "pytest", "-q", "-m", "extra", *TESTS]
    environ = {**bench.environ, "AVSEG_S3": bench.environ["AWS_ENDPOINT_URL"]}
    ended = subprocess.run(words, env=environ, cwd=ROOT, check=False, capture_output=True, text=True)
    wanted = re.search(r"^\d+ passed(?! .*skipped)", ended.stdout, re.MULTILINE)
    return [] if wanted and not ended.returncode else [f"pytest: {ended.stdout[-3000:]}"]


CASES: dict[str, Callable[[Bench], list[str]]] = {
    "batch": case_batch,
    "two": case_two,
    "killed": case_killed,
    "tests": case_tests,
}


@contextmanager
def prepared(work: Path, ceph: Ceph, videos: int) -> Iterator[Bench]:
    """Films in the bucket `films`, and a batch with folders."""
    keys = {**ceph.keys, "AWS_ENDPOINT_URL": ceph.address, "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(keys)
    from s3fs import S3FileSystem

    bench = Bench(work, {**os.environ, "OMP_NUM_THREADS": "1"}, S3FileSystem(use_listings_cache=False))
    names = make_films(work / "films", videos)
    bench.files.mkdir("films")
    bench.files.put([str(work / "films" / name) for name in names], [f"films/clips/{name}" for name in names])
    called(bench.words(str(work / "films"), str(work / "out")), env=bench.environ, cwd=ROOT)
    found = digests(work / "out")
    bench.expected = {name: of for name, of in found.items() if name.startswith(("videos/", "masks/"))}
    yield bench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--ceph", type=Path, help="a folder for Debian's packages of Ceph, kept for the next time")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work, programs = Path(name), None
        if not all(shutil.which(program) for program in ("radosgw", "ceph-mon", "ceph-osd", "ceph")):
            programs = unpacked((options.ceph or work / "programs").absolute())
        (work / "ceph").mkdir()
        with closing(Ceph(work / "ceph", programs)) as ceph, prepared(work, ceph, options.videos) as bench:
            figures: dict[str, Any] = {"server": ceph.version, "started_in_seconds": round(ceph.seconds, 1)}
            figures["videos"], wrong = options.videos, False
            for case in options.cases:
                begun = time.monotonic()
                told = CASES[case](bench)
                figures[case] = {"seconds": round(time.monotonic() - begun, 1), "wrong": told[:20]}
                wrong = wrong or bool(told)
    print(json.dumps(figures, indent=1))
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()
