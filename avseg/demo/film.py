"""A short synthetic film in which objects sound one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avseg.io.video import write_video
from avseg.synth.difficulty import get_difficulty
from avseg.synth.picture import iter_frames
from avseg.synth.scene import Scene, draw_scene, generator
from avseg.synth.soundtrack import Soundtrack, Source, render_sound
from avseg.synth.timbres import SAMPLE_RATE

SECONDS = 10
FPS = 12.5
SIZE = (288, 512)
"""(H, W) in pixels."""
SOLO = 2.0
"""Seconds that each object sounds alone."""
OBJECTS = 4


def write_film(path: Path, seed: int) -> Path:
    """`SECONDS` of four moving objects: each sounds alone, the last two seconds belong to the first and third together.

    Raises:
        OSError: a folder that cannot be written to.
    """
    scene, soundtrack = draw_film(seed)
    audio = render_sound(scene, soundtrack)
    times = [float(time) for time in np.arange(round(SECONDS * FPS)) / FPS]
    pictures = (frame for frame, _ in iter_frames(scene, times, SIZE))
    return write_video(path, pictures, FPS, audio, SAMPLE_RATE)


def draw_film(seed: int) -> tuple[Scene, Soundtrack]:
    """Return the scene of the film of this seed, and when each object sounds."""
    scene = _scene(seed)
    return scene, _soundtrack(scene, seed)


def _scene(seed: int) -> Scene:
    """Return the first scene of the world `seed` with the wanted number of objects."""
    difficulty, index = get_difficulty("standard"), 0
    while True:
        scene = draw_scene(generator(seed, index, 0), difficulty, SECONDS, aspect=SIZE[1] / SIZE[0])
        if len(scene.bodies) == OBJECTS:
            return scene
        index += 1


def _soundtrack(scene: Scene, seed: int) -> Soundtrack:
    sources = []
    for body, object_ in enumerate(scene.bodies):
        solo = (body * SOLO, (body + 1) * SOLO)
        finale = ((OBJECTS * SOLO, float(SECONDS)),) if body in (0, 2) else ()
        sources.append(Source(object_.kind, (solo, *finale), body, seed=seed + body))
    return Soundtrack(tuple(sources), snr=20.0, seed=seed)
