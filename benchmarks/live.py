"""A stream served in real time on this machine: delay from a packet's arrival to the painted picture, and drift.

    python benchmarks/live.py                                ten minutes of MPEG-TS over HTTP with the demo model
    python benchmarks/live.py --minutes 1 --steady           sound in step with the picture, see below
    python benchmarks/live.py --minutes 1 --rtsp             by Debian's GStreamer RTSP server (over TCP)

The program `ffmpeg` serves the demo's film, over and over, with a corner that is white and a tone that sounds in the
same 0.3 s of every second. Drift is told against these seconds, at the end of the run compared with its beginning: of
the sound that the model hears against the pictures, of the sound in the written file against the times of its pictures,
and of pictures against the machine's clock. As ffmpeg comes, it sends the sound of MPEG-TS in lumps of up to a third of
a second; with --steady it is told to send each piece at once. The floor of the delay is the wait for sound, `waits_ms`:
what a model needs of the sound after a picture, and how much later sound comes than its picture.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import conditions, options_of, parser, peak_mib, tell

from avseg.demo import MODEL_FILE
from avseg.demo.film import write_film
from avseg.inference import Segmenter
from avseg.io.pictures import Pictures
from avseg.io.video_sound import iter_audio
from avseg.live import LiveStream, inputs_of
from avseg.live.recording import Recording
from avseg.live.stage import LivePicture

CORNER = 48
"""Pixels of the side of the corner that tells the second."""
LIT = "between(mod(t\\,1)\\,0.3\\,0.6)"


def coded(film: Path, seconds: float, *, real_time: bool) -> list[str]:
    """The words for ffmpeg by which it plays the film with its corner and its tone, but for the target."""
    box, pace = f"drawbox=w={CORNER}:h={CORNER}:t=fill", ["-re"] if real_time else []
    picture = f"fps=25,{box}:color=black,{box}:color=white:enable='{LIT}'"
    tone = f"aevalsrc=exprs='0.4*sin(2*PI*880*t)*{LIT}':s=48000:c=mono"
    words = [*pace, "-stream_loop", "-1", "-i", str(film), *pace, "-f", "lavfi", "-i", tone, "-t", str(seconds)]
    coding = ["-map", "0:v", "-map", "1:a", "-vf", picture, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"]
    return ["ffmpeg", "-v", "error", *words, *coding, "-g", "25", "-c:a", "aac"]


def over_http(film: Path, port: int, seconds: float, steady: bool) -> tuple[subprocess.Popen[bytes], str]:
    """ffmpeg, which waits for one client and then plays in real time; and the address."""
    at_once = ["-pes_payload_size", "0", "-muxdelay", "0", "-muxpreload", "0"] if steady else []
    address = f"http://127.0.0.1:{port}/film.ts"
    words = [*coded(film, seconds, real_time=True), *at_once, "-f", "mpegts", "-listen", "1", address]
    return subprocess.Popen(words), address


def over_rtsp(film: Path, port: int, seconds: float) -> tuple[subprocess.Popen[bytes], str]:
    """GStreamer's server; and the address."""
    long = film.with_name("long.mp4")
    subprocess.run([*coded(film, seconds, real_time=False), str(long)], check=True)
    script = str(Path(__file__).with_name("rtsp_server.py"))
    return subprocess.Popen(["/usr/bin/python3", script, str(port), str(long)]), f"rtsp://127.0.0.1:{port}/film"


class Onsets:
    """When something begins, again and again, in s."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._on = True

    def see(self, at: float, on: bool) -> None:
        if on and not self._on:
            self.times.append(at)
        self._on = on

    def hear(self, begin: float, sound: np.ndarray, rate: int, hold: float = 0.05) -> None:
        """A piece that follows the one before; a tone has ended once it is still for `hold` s."""
        for step in range(0, len(sound) - rate // 1000, rate // 1000):
            loud = bool(np.abs(sound[step : step + rate // 1000]).max() > 0.1)
            at = begin + step / rate
            if loud:
                self.see(at, True)
                self._quiet = at
            elif at - getattr(self, "_quiet", -1.0) > hold:
                self.see(at, False)

    def places(self, count: int) -> tuple[float, float]:
        """ms into their second, the median of the first and of the last `count`."""
        inside = (1000 * np.array(self.times)) % 1000
        return float(np.median(inside[:count])), float(np.median(inside[-count:]))


def drift(one: Onsets, other: Onsets, count: int) -> float:
    """ms by which `one` has moved against `other` between the beginning and the end."""
    (first, last), (start, end) = one.places(count), other.places(count)
    return round(((last - end) - (first - start) + 500) % 1000 - 500, 2)


def watched(stream: LiveStream, seen: Onsets, lags: list[tuple[float, float]]) -> None:
    """Note of every decoded picture whether its corner is white, and when it came; the stream is told nothing."""
    show = stream._stage.show

    def note(picture: LivePicture) -> None:
        plane = picture.frame.planes[0]
        corner = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[8 : CORNER - 8, 8 : CORNER - 8]
        seen.see(picture.time, bool(corner.mean() > 128))
        lags.append((picture.time, picture.arrival - picture.time))
        show(picture)

    stream._stage.show = note  # type: ignore[method-assign]


def run(segmenter: Segmenter, address: str, out: Path) -> dict[str, Any]:
    """Figures of a whole stream."""
    seen, heard, written = Onsets(), Onsets(), Onsets()
    lags: list[tuple[float, float]] = []
    delays: list[float] = []
    recording, reached = Recording(out), 0
    with LiveStream(segmenter, inputs_of(address), keeps_sound=True) as stream:
        watched(stream, seen, lags)
        for frame in stream:
            recording.write(frame, stream.sound)
            delays.append(stream._stage.delay)
            ring = stream._stage.rings[0]
            end = round(ring.end * ring.rate)
            heard.hear(reached / ring.rate, ring.read(reached, end)[0], ring.rate)
            reached = end - (end - reached) % (ring.rate // 1000)
    recording.close()
    for begin, piece, rate in iter_audio(out, channels=1):
        written.hear(begin, piece[0], rate)
    first = next(iter(Pictures(out)))[0]
    latencies, count = 1000 * np.array(stream.figures.latencies), max(1, min(30, len(seen.times) // 4))
    arrivals = np.array(lags)
    early, late = (np.median(arrivals[part, 1]) for part in (slice(0, 250), slice(-250, None)))
    told = stream.figures.to_dict()
    return {
        "seconds": round(told["time"], 1),
        "pictures": told["frames"],
        "masks": told["masks"],
        "masks_per_second": round(told["masks"] / told["time"], 2),
        "dropped": told["dropped"],
        "latency_ms": {"median": round(float(np.median(latencies)), 1), "95": told["latency_95_ms"]},
        "waits_ms": round(1000 * float(np.median(delays)), 1),
        "drift_ms": {
            "heard_sound_against_pictures": drift(heard, seen, count),
            "written_sound_against_pictures": drift(written, seen, count),
            "pictures_against_machine": round(1000 * float(late - early), 1),
        },
        "sound_behind_picture_ms": round(heard.places(count)[1] - seen.places(count)[1], 2),
        "flashes": len(seen.times),
        "tones": [len(heard.times), len(written.times)],
        "first_picture_of_file": first,
        "file_bytes": out.stat().st_size,
        "peak_mib": peak_mib(),
    }


def main() -> None:
    """One run."""
    shared = parser(__doc__, threads=1)
    shared.add_argument("--minutes", type=float, default=10.0)
    shared.add_argument("--steady", action="store_true", help="let ffmpeg send sound as soon as it has it")
    shared.add_argument("--rtsp", action="store_true")
    shared.add_argument("--model", default=str(MODEL_FILE))
    options = options_of(shared)
    torch.set_num_interop_threads(1)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as held:
        film = write_film(Path(folder) / "film.mp4", 7)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        held.close()
        seconds = 60 * options.minutes
        server, address = (
            over_rtsp(film, port, seconds) if options.rtsp else over_http(film, port, seconds, options.steady)
        )
        try:
            time.sleep(3)
            loads = [os.getloadavg()[0]]
            found = run(Segmenter(options.model, device="cpu"), address, Path(folder) / "live.mp4")
            loads.append(os.getloadavg()[0])
        finally:
            server.kill()
            server.wait()
    tell(
        {
            **conditions(options),
            "load": [round(load, 1) for load in loads],
            "source": address.partition(":")[0],
            "steady": options.steady,
            **found,
        },
        options.out,
    )


if __name__ == "__main__":
    main()
