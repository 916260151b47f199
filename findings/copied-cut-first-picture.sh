#!/usr/bin/env bash
# A part of a video cut out without coding it again: the same cut begins with another picture in MP4 than in
# Matroska, holds more pictures than were asked for, and MP4 states pictures that no reader gives.
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


FPS = 25
with av.open("whole.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=FPS, options={"x264-params": "keyint=25:scenecut=0", "bf": "0"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for number in range(100):
        planes = np.full((96, 96), 128, np.uint8)
        planes[:64] = 20 + 2 * number  # the brightness tells which picture it is
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def numbers(path):
    """Which pictures of the whole video a file shows, and how many it states."""
    with av.open(path) as container:
        stated = container.streams.video[0].frames
        levels = [frame.to_ndarray(format="yuv420p")[:64].mean() for frame in container.decode(video=0)]
    return [round((level - 20) / 2) for level in levels], stated


shown = {}
for kind in ("mp4", "mkv"):
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-ss",
        "1.52",
        "-i",
        "whole.mp4",
        "-t",
        "1",
        "-c",
        "copy",
    ]
    subprocess.run([*command, f"cut.{kind}"], check=True)
    shown[kind], stated = numbers(f"cut.{kind}")
    count = int(cv2.VideoCapture(f"cut.{kind}").get(cv2.CAP_PROP_FRAME_COUNT))
    capture, read = cv2.VideoCapture(f"cut.{kind}"), 0
    while capture.read()[0]:
        read += 1
    print(
        f"{kind}: pictures {shown[kind][0]} to {shown[kind][-1]}, {len(shown[kind])} in all; "
        f"stated {stated} (PyAV) and {count} (OpenCV); OpenCV reads {read}"
    )
    if kind == "mp4":
        expect(stated == count > read == len(shown[kind]), "MP4 states more pictures than PyAV and OpenCV give")
expect(shown["mp4"][0] == 38, "MP4 begins with picture 38, at the 1.52 s that were asked for")
expect(shown["mkv"][0] == 25, "Matroska begins with picture 25, the key picture 0.52 s before")
expect(len(shown["mkv"]) > FPS, "and holds more than the 25 pictures of one second")
PYTHON
