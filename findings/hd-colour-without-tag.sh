#!/usr/bin/env bash
# A picture of 720 lines without a colour tag: PyAV, OpenCV and the ffmpeg command turn it to RGB by BT.601,
# while players use BT.709 at this size; the same coded values get other colours when the file names BT.709.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 opencv-python-headless==5.0.0.93 imageio-ffmpeg==0.8.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from fractions import Fraction
from importlib.metadata import version

import av
import cv2
import imageio_ffmpeg
import numpy as np

for package in ["av", "numpy", "opencv-python-headless", "imageio-ffmpeg"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


HEIGHT, WIDTH = 720, 1280
Y, CB, CR = 100, 90, 200


def write(path, tag):
    """One colour as H.264; `tag`: number of H.273 for the matrix (1: BT.709, 6: BT.601), or None."""
    planes = np.full((HEIGHT * 3 // 2, WIDTH), Y, np.uint8)
    planes[HEIGHT : HEIGHT * 5 // 4], planes[HEIGHT * 5 // 4 :] = CB, CR
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def rgb(red, blue):
    """(R, G, B) of the coded values, from the weights of red and blue in the luma."""
    luma = (Y - 16) * 255 / 219
    r, b = luma + 2 * (1 - red) * (CR - 128) * 255 / 224, luma + 2 * (1 - blue) * (CB - 128) * 255 / 224
    return np.clip([r, (luma - red * r - blue * b) / (1 - red - blue), b], 0, 255)


def readings(path):
    with av.open(path) as container:
        yield "PyAV", next(container.decode(video=0)).to_ndarray(format="rgb24")[360, 640]
    yield "OpenCV", cv2.VideoCapture(path).read()[1][360, 640, ::-1]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-frames:v", "1", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    yield "ffmpeg", np.frombuffer(raw, np.uint8).reshape(HEIGHT, WIDTH, 3)[360, 640]


bt601, bt709 = rgb(0.299, 0.114), rgb(0.2126, 0.0722)
print("by the formula: BT.601", bt601.round().tolist(), "BT.709", bt709.round().tolist())
for tag, wanted, name in ((None, bt601, "BT.601"), (6, bt601, "BT.601"), (1, bt709, "BT.709")):
    write(f"{tag}.mp4", tag)
    for reader, colour in readings(f"{tag}.mp4"):
        print("tag", tag, reader, colour.tolist())
        expect(np.abs(colour - wanted).max() <= 3, f"{reader} reads 720 lines with the tag {tag} by {name}")
PYTHON
