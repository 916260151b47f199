#!/usr/bin/env bash
# A server that dies in the middle of a chunked HTTP stream: PyAV (FFmpeg) reports a regular end, Python's own client an
# incomplete answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import http.client
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


PICTURES = 100
noise = np.random.default_rng(0)
with av.open("film.ts", "w", format="mpegts") as out:
    stream = out.add_stream("mpeg2video", rate=25)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    for number in range(PICTURES):
        frame = av.VideoFrame.from_ndarray(noise.integers(0, 256, (240, 320, 3), dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
film = Path("film.ts").read_bytes()


class Server(BaseHTTPRequestHandler):
    """/whole sends the film and the empty chunk that ends an answer; /half dies after half of it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        part = film if self.path == "/whole" else film[: len(film) // 2]
        for at in range(0, len(part), 188 * 7):
            piece = part[at : at + 188 * 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if self.path == "/whole":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]


def decoded(path):
    """How many pictures came, and how the stream ended."""
    count = 0
    with av.open(f"http://127.0.0.1:{port}{path}", timeout=10) as container:
        try:
            for packet in container.demux():
                count += len(packet.decode())
        except av.error.FFmpegError as error:
            return count, type(error).__name__
    return count, "end"


def fetched(path):
    """How Python's own client sees the same answer."""
    line = http.client.HTTPConnection("127.0.0.1", port)
    line.request("GET", path)
    try:
        line.getresponse().read()
    except http.client.IncompleteRead:
        return "IncompleteRead"
    return "end"


whole, half = decoded("/whole"), decoded("/half")
print("PyAV: /whole", whole, "/half", half, "of", PICTURES, "pictures")
print("http.client: /whole", fetched("/whole"), "/half", fetched("/half"))
expect(fetched("/whole") == "end" and fetched("/half") == "IncompleteRead", "the half answer is an incomplete one by HTTP")
expect(whole == (PICTURES, "end"), "PyAV reads the whole film to its end")
expect(half[1] == "end" and half[0] < PICTURES, "PyAV reads half of the film to what it reports as a regular end")
PYTHON
