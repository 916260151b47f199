#!/usr/bin/env bash
# VP9 with transparency: FFmpeg's own decoder, which PyAV uses by default, drops the alpha channel
# without a word; libvpx's decoder in the same library keeps it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction
from importlib.metadata import version

import av
import numpy as np

for package in ["av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


picture = np.full((64, 64, 4), 200, np.uint8)
picture[..., 3] = 0
picture[:, :32, 3] = 255
with av.open("x.webm", "w") as out:
    stream = out.add_stream("libvpx-vp9", rate=25, options={"lossless": "1"})
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuva420p"
    frame = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuva420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
with av.open("x.webm") as container:
    stream = container.streams.video[0]
    stated, usual = dict(stream.metadata).get("alpha_mode"), next(container.decode(stream))
    decoder = stream.codec_context.name
with av.open("x.webm") as container:
    libvpx = av.CodecContext.create("libvpx-vp9", "r")
    other = [frame for packet in container.demux(video=0) for frame in libvpx.decode(packet)][0]
alphas = [np.unique(frame.to_ndarray(format="rgba")[..., 3]).tolist() for frame in (usual, other)]
print(f"alpha_mode in the file: {stated}")
print(f"decoder {decoder}: {usual.format.name}, alpha {alphas[0]}")
print(f"decoder libvpx-vp9: {other.format.name}, alpha {alphas[1]}")
expect(stated == "1", "the file says that it has an alpha channel")
expect(usual.format.name == "yuv420p" and alphas[0] == [255], "the usual decoder gives an opaque picture")
expect(other.format.name == "yuva420p" and alphas[1] == [0, 255], "libvpx gives the transparency that was written")
PYTHON
