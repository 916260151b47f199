#!/usr/bin/env bash
# A transport stream of two programmes: the default choice of FFmpeg and of PyAV shows the picture of one
# programme with the sound of the other.
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


FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURE = ["-f", "lavfi", "-i", "testsrc=s=96x64:r=25:d=2"]
SOUND = ["-f", "lavfi", "-i", "sine=d=2:r=48000"]
CODECS = ["-c:v", "mpeg2video", "-c:a", "mp2"]


def ffmpeg(*arguments):
    return subprocess.run([FFMPEG, "-hide_banner", "-y", *arguments], capture_output=True, text=True, check=True).stderr


def chosen(path):
    """Numbers of the streams that the command `ffmpeg -i path` takes when nothing is said."""
    log = ffmpeg("-i", path, "-t", "0.2", "-f", "null", "-")
    return [int(number) for number in re.findall(r"Stream #0:(\d+) -> #0:\d+", log)]


# Programme 1: picture 0 and mono sound 1. Programme 2: picture 2 and stereo sound 3 of a higher bit rate.
ffmpeg(
    *PICTURE,
    *SOUND,
    *PICTURE,
    *SOUND,
    "-map",
    "0",
    "-map",
    "1",
    "-map",
    "2",
    "-map",
    "3",
    *CODECS,
    "-ac:a:0",
    "1",
    "-ac:a:1",
    "2",
    "-b:a:0",
    "64k",
    "-b:a:1",
    "192k",
    "-program",
    "program_num=1:st=0:st=1",
    "-program",
    "program_num=2:st=2:st=3",
    "both.ts",
)
# Programme 1: picture 0 without sound. Programme 2: picture 1 and sound 2.
ffmpeg(
    *PICTURE,
    *PICTURE,
    *SOUND,
    "-map",
    "0",
    "-map",
    "1",
    "-map",
    "2",
    *CODECS,
    "-program",
    "program_num=1:st=0",
    "-program",
    "program_num=2:st=1:st=2",
    "silent.ts",
)

print("ffmpeg takes of both.ts:", chosen("both.ts"), "and of silent.ts:", chosen("silent.ts"))
expect(chosen("both.ts") == [0, 3], "ffmpeg joins the picture of programme 1 with the sound of programme 2")
expect(chosen("silent.ts") == [0, 2], "it does so also where the picture's own programme has no sound")
with av.open("both.ts") as container:
    picture = container.streams.best("video")
    alone, related = container.streams.best("audio"), container.streams.best("audio", picture)
    print("PyAV, both.ts: picture", picture.index, "sound", alone.index, "sound related to the picture", related.index)
    expect(
        (picture.index, alone.index, related.index) == (0, 3, 1),
        "best('audio') alone is of the other programme; with the picture as second argument it is of its own",
    )
with av.open("silent.ts") as container:
    picture = container.streams.best("video")
    alone, related = container.streams.best("audio"), container.streams.best("audio", picture)
    print("PyAV, silent.ts: sound", alone.index, "sound related to the picture", related)
    expect(alone.index == 2 and related is None, "best('audio', picture) is None although the file has sound")
PYTHON
