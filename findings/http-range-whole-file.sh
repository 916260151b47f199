#!/usr/bin/env bash
# A web server without ranges, as Python's own: asked for the first ten bytes of a file of a megabyte, fsspec's cat_file
# gives the whole file and raises nothing, cat_ranges likewise for every range; an opened file raises an error there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.13.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import functools
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import fsspec

print(f"fsspec {version('fsspec')}, aiohttp {version('aiohttp')}, Python {sys.version.split()[0]}")
Path("files").mkdir()
Path("files/shard.tar").write_bytes(bytes(range(256)) * 4096)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory="files"))
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/shard.tar"


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


system = fsspec.filesystem("http")
part = system.cat_file(url, start=0, end=10)
expect(len(part) == 2**20, f"cat_file(start=0, end=10) gives {len(part)} bytes")
later = system.cat_file(url, start=100, end=110)
expect(later[:3] == b"\0\1\2", f"cat_file(start=100, end=110) begins with the first bytes of the file, {list(later[:3])}")
ranges = system.cat_ranges([url, url], [0, 100], [10, 110])
expect([len(found) for found in ranges] == [2**20] * 2, f"cat_ranges gives {[len(found) for found in ranges]} bytes")
try:
    with system.open(url, block_size=1024) as file:
        file.seek(100)
        found = file.read(10)
    print(f"an opened file gives {list(found)}")
    expect(False, "an opened file raises")
except Exception as error:
    expect(True, f"an opened file raises {type(error).__name__}: {error}")
PYTHON
