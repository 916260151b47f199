#!/usr/bin/env bash
# MPEG-TS written by FFmpeg: quiet sound comes in lumps, up to a third of a second later than the pictures of its time;
# one sound in each packet (pes_payload_size 0) does not cure it, muxdelay 0 beside it does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 imageio-ffmpeg==0.8.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

import av
import imageio_ffmpeg

for package in ["av", "imageio-ffmpeg"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURE = ["-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=6"]
QUIET = "aevalsrc=exprs='0.4*sin(2*PI*880*t)*between(mod(t\\,1)\\,0.3\\,0.6)':s=48000:c=mono:d=6"
CODECS = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-c:a", "aac"]


def late(*options):
    """s of pictures that lie in the file between a picture and the sound of its own time: median and longest."""
    target = ["-f", "mpegts", "film.ts"]
    words = ["-v", "error", "-y", *PICTURE, "-f", "lavfi", "-i", QUIET, *CODECS, *options, *target]
    subprocess.run([FFMPEG, *words], check=True)
    reached, waits = None, []
    waiting = []
    with av.open("film.ts") as container:
        for packet in container.demux():
            if packet.pts is None:
                continue
            at = float(packet.pts * packet.time_base)
            if packet.stream.type == "video":
                waiting.append(at)
                reached = at
            else:
                waits += [reached - one for one in waiting if one <= at]
                waiting = [one for one in waiting if one > at]
    waits = sorted(waits)[: len(waits) - 5]
    return round(waits[len(waits) // 2], 2), round(waits[-1], 2)


usual, single, cured = (
    late(),
    late("-pes_payload_size", "0"),
    late("-pes_payload_size", "0", "-muxdelay", "0", "-muxpreload", "0"),
)
print("usual", usual, "pes_payload_size 0", single, "and muxdelay 0", cured, "(s: median, longest)")
expect(usual[0] > 0.1 and usual[1] > 0.25, "half of the pictures are more than 0.1 s ahead of their sound, some 0.3 s")
expect(single[1] > 0.2, "one sound in each packet leaves some of the lumps")
expect(cured[1] <= 0.08, "without muxdelay, sound comes with its picture")
PYTHON
