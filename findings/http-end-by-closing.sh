#!/usr/bin/env bash
# A film over HTTP without a stated length, which the server ends by closing the connection as HTTP/1.0 does: PyAV gives
# all of its packets and then raises an input/output error. With PyAV 19 (Python 3.12 or newer) a chunked answer that
# ends in order raises it too, unless FFmpeg is told that the connection may be used again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pyav=$("$folder/venv/bin/python" -c 'import sys; print("19.0.2" if sys.version_info >= (3, 12) else "18.1.0")')
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "av==$pyav" numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np

for package in ["av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


PICTURES = 50
noise = np.random.default_rng(0)
with av.open("film.ts", "w", format="mpegts") as out:
    stream = out.add_stream("mpeg2video", rate=25)
    stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
    for number in range(PICTURES):
        frame = av.VideoFrame.from_ndarray(noise.integers(0, 256, (120, 160, 3), dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
film = Path("film.ts").read_bytes()


class Server(BaseHTTPRequestHandler):
    """/closed ends by closing the connection, /stated says how long it is, /chunked ends by an empty chunk."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        if self.path == "/stated":
            self.send_header("Content-Length", str(len(film)))
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.path == "/chunked":
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(film), film))
        else:
            self.wfile.write(film)

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def ended(path, **options):
    """Bytes of all packets, and how the stream ended."""
    size = 0
    address = f"http://127.0.0.1:{server.server_address[1]}{path}"
    with av.open(address, timeout=10, options=options) as container:
        try:
            for packet in container.demux():
                size += packet.size
        except OSError as error:
            return size, error.strerror
    return size, "end"


with av.open("film.ts") as container:
    whole = sum(packet.size for packet in container.demux())
found = {path: ended(path) for path in ("/stated", "/closed", "/chunked")}
found["/chunked, to be used again"] = ended("/chunked", multiple_requests="1")
for name, (size, end) in found.items():
    print(f"{name}: {size} of {whole} bytes of packets, then: {end}")
FAULT = "Input/output error"
expect(all(size == whole for size, _ in found.values()), "all packets come in each case")
expect(found["/stated"][1] == "end", "an answer of stated length ends in order")
expect(found["/closed"][1] == FAULT, "an answer that ends by closing the connection ends by a fault")
if int(version("av").split(".")[0]) >= 19:
    expect(found["/chunked"][1] == FAULT, "a chunked answer that ends in order ends by a fault in PyAV 19")
else:
    expect(found["/chunked"][1] == "end", "a chunked answer ends in order in PyAV 18")
expect(found["/chunked, to be used again"][1] == "end", "with multiple_requests it ends in order")
PYTHON
