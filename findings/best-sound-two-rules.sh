#!/usr/bin/env bash
# Two sound streams of one transport stream: the ffmpeg command takes the one with more channels, PyAV's
# streams.best("audio") the one with the higher bit rate; the two differ although FFmpeg is behind both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 imageio-ffmpeg==0.8.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import re
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


def ffmpeg(arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-y", *arguments.split()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def choices(rates):
    """The sound stream that ffmpeg takes and the one that PyAV takes: 1 is mono, 2 stereo, of these bit rates."""
    mono, stereo = rates
    ffmpeg(
        "-f lavfi -i testsrc=s=96x64:r=25:d=2 -f lavfi -i sine=d=2:r=48000 -f lavfi -i sine=d=2:r=48000 "
        "-map 0 -map 1 -map 2 -c:v mpeg2video -c:a mp2 "
        f"-ac:a:0 1 -b:a:0 {mono}k -ac:a:1 2 -b:a:1 {stereo}k x.ts"
    )
    taken = [int(number) for number in re.findall(r"Stream #0:(\d+) -> #0:\d+", ffmpeg("-i x.ts -t 0.2 -f null -"))]
    with av.open("x.ts") as container:
        sounds = [(one.index, one.channels, one.bit_rate) for one in container.streams.audio]
        best = container.streams.best("audio").index
    print(f"(stream, channels, bits a second): {sounds}; ffmpeg takes {taken[1]}, PyAV {best}")
    return taken[1], best


expect(choices((64, 192)) == (2, 2), "both take the stereo stream where it has the higher bit rate as well")
expect(choices((192, 64)) == (2, 1), "where the mono stream has the higher bit rate, ffmpeg stays and PyAV changes")
PYTHON
