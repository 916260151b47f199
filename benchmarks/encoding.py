"""Seconds, bytes and quality of an overlay by x264's preset and threads, each writing the same pictures in turn.

    python benchmarks/encoding.py                       ten seconds of two films of 640x360
    python benchmarks/encoding.py --video FILE          pictures of your own

`cpu` is the processor time of all threads, `psnr` how near the pictures come to those that were written, in dB.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness import conditions, in_turn, options_of, parser, tell
from numpy.typing import NDArray
from predict import segment

from avseg.demo.film import write_film
from avseg.io.video import VideoWriter, iter_frames
from avseg.io.video_writer import Coding, h264

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast")
THREADS = {
    "slices of all cores": ("0", "slice"),
    "one frame": ("1", "frame"),
    "two frames": ("2", "frame"),
    "four frames": ("4", "frame"),
}
"""What is coded at once: threads and their kind, as FFmpeg calls them."""


BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
"""Shares of red, green and blue (BT.601)."""


def codings(presets: list[str]) -> dict[str, Coding]:
    """That of overlays, and the same with another preset or other threads."""
    usual = h264()
    made = {"as it is": usual}
    for (name, (count, kind)), preset in itertools.product(THREADS.items(), presets):
        options = {**usual.options, "preset": preset, "threads": count, "thread_type": kind}
        made[f"{preset}, {name}"] = replace(usual, options=options)
    return made


def psnr(pictures: list[NDArray[np.uint8]], path: Path) -> dict[str, float]:
    """dB of a file to the pictures that were written: of red, green and blue, and of their brightness."""
    errors = []
    for one, (_, two) in zip(pictures, iter_frames(path), strict=True):
        off = one.astype(np.float32) - two
        errors.append((np.square(off).mean(), np.square(off @ BRIGHTNESS).mean()))
    colours, brightness = (round(float(10 * np.log10(255**2 / error)), 2) for error in np.mean(errors, axis=0))
    return {"psnr": colours, "psnr_brightness": brightness}


def compared(video: Path, seconds: float, presets: list[str], repeats: int, folder: Path) -> dict[str, Any]:
    """The figures of each coding for the first `seconds` of a video."""
    taken = list(itertools.takewhile(lambda timed: timed[0] < seconds, iter_frames(video)))
    pictures, rate = [picture for _, picture in taken], (len(taken) - 1) / (taken[-1][0] or 1.0)

    def written(name: str, coding: Coding) -> Path:
        path = folder / f"{name.replace(' ', '-')}.mp4"
        with VideoWriter(path, rate, coding=coding) as writer:
            for picture in pictures:
                writer.write(picture)
        return path

    made = codings(presets)
    runs = {name: (lambda name=name, coding=coding: written(name, coding)) for name, coding in made.items()}
    return {
        name: {
            "wall": round(spent.wall, 3),
            "cpu": round(spent.cpu, 3),
            "bytes": spent.result.stat().st_size,
            **psnr(pictures, spent.result),
        }
        for name, spent in in_turn(runs, repeats, warm=False).items()
    }


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--video", type=Path, nargs="*", help="films; default: two that are made")
    shared.add_argument("--seconds", type=float, default=10.0, help="of each")
    shared.add_argument("--presets", nargs="+", default=list(PRESETS))
    shared.add_argument("--repeats", type=int, default=3)
    chosen = options_of(shared)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = chosen.video or [segment(folder / "texture.mp4", 640, 360, 25), write_film(folder / "shapes.mp4", 1)]
        figures = {film.name: compared(film, chosen.seconds, chosen.presets, chosen.repeats, folder) for film in films}
    tell({"benchmark": "encoding", **conditions(chosen), "films": figures}, chosen.out)


if __name__ == "__main__":
    main()
