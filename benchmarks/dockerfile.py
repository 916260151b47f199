"""Runs the lines of the Dockerfile without Docker: in a fresh Debian root that mmdebstrap makes.

FROM, RUN, COPY, WORKDIR, ENV, ARG and USER are done in order, in a chroot; then CMD is started as the image's user on
a free port, HEALTHCHECK has to pass, a film is sent with examples/client.py, and SIGTERM has to end the service with
status 0. No image is built: layers, volumes, limits of a container and compose.yaml are not tried. Wants root, Debian's
mmdebstrap, and some 10 GB below TMPDIR. Prints JSON; exits with 1 where a line fails.

    python benchmarks/dockerfile.py
    python benchmarks/dockerfile.py --share /opt/wheels      # what pip's own settings name
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 180
"""s until the service must answer."""


@dataclass
class Image:
    """A root folder, and what the lines have set so far."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "root"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def line(self, word: str, rest: str) -> None:
        """Do one line."""
        if word == "RUN":
            subprocess.run(self.inside(["/bin/sh", "-c", rest]), env=self.environment, check=True, stdout=sys.stderr)
        elif word == "COPY":
            *sources, target = rest.split()
            self._copy(sources, target)
        elif word == "WORKDIR":
            self.folder = rest
            (self.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            self.environment |= dict(one.split("=", 1) for one in shlex.split(rest))
        elif word == "ARG":
            name, _, usual = rest.partition("=")
            self.environment[name] = os.environ.get(name, usual.strip('"'))
        elif word == "USER":
            self.user = rest
        elif word == "CMD":
            self.command = json.loads(rest)
        elif word == "HEALTHCHECK":
            self.health = json.loads(rest.partition("CMD")[2])
        elif word not in ("VOLUME", "EXPOSE"):
            raise ValueError(f"the line {word} {rest} is none that this script knows")

    def inside(self, words: list[str]) -> list[str]:
        """A command in the root, in its folder and as its user."""
        in_folder = f"cd {shlex.quote(self.folder)} && exec {shlex.join(words)}"
        return [
            shutil.which("chroot") or "chroot",
            f"--userspec={self.user}:{self.user}",
            str(self.root),
            "/bin/sh",
            "-c",
            in_folder,
        ]

    def _copy(self, sources: list[str], target: str) -> None:
        into = self.root / self.folder.lstrip("/") / target
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, into, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(path, into)


def lines_of(text: str) -> Iterator[tuple[str, str]]:
    """(word, rest) of each line of a Dockerfile, continued lines joined."""
    joined = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        yield word.upper(), rest.strip()


@contextmanager
def mounted(root: Path, shared: list[Path]) -> Iterator[None]:
    """/proc, /dev and shared folders in the root while the block lasts."""
    with ExitStack() as stack:
        for path in (Path("/proc"), Path("/dev"), *shared):
            place = root / path.relative_to("/")
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--rbind", "--make-rslave", str(path), str(place)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", "--recursive", str(place)], check=True)
        yield


def tried(image: Image, work: Path) -> dict[str, Any]:
    """Start CMD on a free port, wait for HEALTHCHECK, send a film, stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    key, begun = "a-key-for-the-root-of-the-dockerfile", time.monotonic()
    environment = {**image.environment, "AVSEG_API_KEYS": key}
    words = image.inside([*image.command, "--port", port])
    service = subprocess.Popen(words, env=environment, stdout=sys.stderr)
    try:
        health = image.inside([word.replace(":8000", f":{port}") for word in image.health])
        while subprocess.run(health, env=environment, stderr=subprocess.DEVNULL).returncode:
            if service.poll() is not None or time.monotonic() - begun > PATIENCE:
                raise RuntimeError("the service does not answer")
            time.sleep(0.5)
        ready = time.monotonic() - begun
        film = work / "film.mp4"
        sources = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2")
        subprocess.run(["ffmpeg", "-v", "error", *sources, str(film)], check=True)
        client = [sys.executable, str(ROOT / "examples" / "client.py"), str(film), f"http://127.0.0.1:{port}", key]
        told = subprocess.run(client, cwd=work, check=True, capture_output=True, text=True).stdout.split()
    finally:
        service.send_signal(signal.SIGTERM)
        status = service.wait(60)
    user = subprocess.run(
        image.inside(["id", "-un"]), env=environment, capture_output=True, text=True, check=True
    ).stdout
    return {
        "user": user.strip(),
        "seconds_to_health": round(ready, 1),
        "states": list(dict.fromkeys(word for word in told if word.isalpha())),
        "files": sorted(path.name for path in (work / "film").iterdir()),
        "status_after_term": status,
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=Path, nargs="*", default=[], help="folders of this machine that pip needs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avseg-root-") as made:
        work = Path(made)
        image = Image(work / "root", {name: value for name, value in os.environ.items() if name.startswith("PIP_")})
        image.environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        seconds: dict[str, float] = {}
        lines = list(lines_of((ROOT / "Dockerfile").read_text(encoding="utf-8")))
        suite = lines[0][1].removeprefix("debian:").removesuffix("-slim")
        subprocess.run(["mmdebstrap", "--variant=minbase", "--quiet", suite, str(image.root)], check=True)
        shutil.copy("/etc/resolv.conf", image.root / "etc" / "resolv.conf")
        if certificates := image.environment.get("PIP_CERT"):
            shutil.copy(certificates, image.root / "certificates.crt")
            image.environment["PIP_CERT"] = "/certificates.crt"
        with mounted(image.root, options.share):
            for number, (word, rest) in enumerate(lines[1:], 2):
                begun = time.monotonic()
                image.line(word, rest)
                seconds[f"{number} {word}"] = round(time.monotonic() - begun, 1)
            found = tried(image, work)
        size = sum(path.lstat().st_size for path in image.root.rglob("*") if path.is_file() and not path.is_symlink())
    right = found["status_after_term"] == 0 and found["states"][-1] == "done" and found["user"] != "root"
    print(json.dumps({"debian": suite, "seconds": seconds, **found, "gigabytes": round(size / 1e9, 2)}, indent=2))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
