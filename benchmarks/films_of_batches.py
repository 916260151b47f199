"""Tiny films for measurements of batches, and digests of what is made of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

KINDS = 5
RATE = 5
"""Pictures a second."""


def make_films(folder: Path, count: int, seconds: int = 1) -> list[str]:
    """`count` films of the synthetic world, hard links to `KINDS` of them; their ids."""
    from avseg.demo.film import draw_film
    from avseg.io.video import write_video
    from avseg.synth.picture import iter_frames
    from avseg.synth.soundtrack import render_sound
    from avseg.synth.timbres import SAMPLE_RATE

    folder.mkdir(parents=True)
    whole = []
    for kind in range(KINDS):
        scene, soundtrack = draw_film(kind)
        sound = render_sound(scene, soundtrack)[:, : seconds * SAMPLE_RATE]
        times = [number / RATE for number in range(seconds * RATE)]
        pictures = (picture for picture, _ in iter_frames(scene, times, (72, 128)))
        whole.append(write_video(folder.parent / f"kind {kind}.mp4", pictures, RATE, sound, SAMPLE_RATE))
    names = [f"{number % 100:02d}/film {number:06d}.mp4" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        os.link(whole[number % KINDS], folder / name)
    return names


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name below `folder`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
