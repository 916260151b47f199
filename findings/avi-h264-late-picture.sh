#!/usr/bin/env bash
# H.264 in AVI, without pictures that wait for later ones: PyAV shows every picture one frame late against the
# sound, while the same streams in MOV and Matroska are in step.
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


FPS, RATE, EVENT = 25, 48000, 50
STEP = RATE // FPS


def write(path):
    """Picture number 50 is white, and the sound of its 1/25 s is loud."""
    with av.open(path, "w") as out:
        picture = out.add_stream("libx264", rate=FPS, options={"bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=RATE)
        sound.layout = "mono"
        for number in range(75):
            planes = np.full((96, 96), 128, np.uint8)
            planes[:64] = 235 if number == EVENT else 20
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(picture.encode(frame))
            samples = np.full((1, STEP), 20000 if number == EVENT else 0, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, number * STEP, Fraction(1, RATE)
            out.mux(sound.encode(frame))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))


def flash(path):
    with av.open(path) as container:
        return next(f.time for f in container.decode(video=0) if f.to_ndarray(format="gray").mean() > 200)


def bang(path):
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(frame.to_ndarray()[0] > 10000)
            if len(loud):
                return frame.time + loud[0] / RATE


for kind in ("mov", "mkv", "avi"):
    write(f"x.{kind}")
    with av.open(f"x.{kind}") as container:
        waits = bool(container.streams.video[0].codec_context.has_b_frames)
        stamps = [(packet.pts, packet.dts) for packet in container.demux(video=0)][:3]
    late = flash(f"x.{kind}") - bang(f"x.{kind}")
    print(f"{kind}: flash {flash(f'x.{kind}'):.3f} s, bang {bang(f'x.{kind}'):.3f} s, first (pts, dts) {stamps}")
    expect(not waits, f"no picture of the {kind} file waits for a later one")
    if kind == "avi":
        expect(abs(late - 1 / FPS) < 1e-6, "in AVI the picture comes 0.04 s after its sound; pts is dts + 1")
    else:
        expect(abs(late) < 1e-6, f"in {kind} picture and sound come together")
PYTHON
