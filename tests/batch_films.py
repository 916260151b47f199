"""Small films for batches, and what `avseg predict` makes of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from avseg.batch import BatchPlan
from avseg.batch.outcome import Outcome
from avseg.batch.segmenting import Segmenting
from avseg.demo.film import draw_film
from avseg.inference.folder import predict_paths
from avseg.io.video import write_video
from avseg.synth.picture import iter_frames
from avseg.synth.soundtrack import render_sound
from avseg.synth.timbres import SAMPLE_RATE

RATE = 5
"""Pictures a second."""
SIZE = (72, 128)
FPS = 1.0
"""Masks a second."""


def film(path: Path, kind: int, seconds: int = 2) -> Path:
    """Shapes of the synthetic world, one of which sounds, small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scene, soundtrack = draw_film(kind)
    sound = render_sound(scene, soundtrack)[:, : seconds * SAMPLE_RATE]
    times = [number / RATE for number in range(seconds * RATE)]
    return write_video(path, (picture for picture, _ in iter_frames(scene, times, SIZE)), RATE, sound, SAMPLE_RATE)


def films(folder: Path, count: int = 5) -> list[str]:
    """Ids of films in a folder, every other one in a folder below it."""
    names = [f"{'below/' if kind % 2 else ''}film {kind}.mp4" for kind in range(count)]
    for kind, name in enumerate(names):
        film(folder / name, kind)
    return sorted(names)


def files_of(folder: Path) -> dict[str, bytes]:
    """Content by name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def predicted(folder: Path, ids: list[str], out: Path) -> dict[str, bytes]:
    """The files of `avseg predict --masks rle` by the names that they have in a batch."""
    predict_paths([str(folder)], "demo", out, save=(), masks="rle", fps=FPS, device="cpu")
    stems = {Path(name).stem: name for name in ids}
    found = files_of(out).items()
    return {f"{stems[name.partition('/')[0]]}/{name.partition('/')[2]}": content for name, content in found}


class InThisProcess:
    """A runner without processes: what they run, here."""

    name = "local"

    def __init__(self, plan: BatchPlan) -> None:
        self.answer = Segmenting(plan)

    def describe(self) -> dict[str, Any]:
        found = self.answer(None, print, lambda: False)
        assert isinstance(found, dict)
        return found

    def run(self, wanted: Sequence[Any]) -> Iterator[Outcome]:
        for one in wanted:
            found = self.answer(one, lambda _: None, lambda: False)
            assert isinstance(found, Outcome)
            yield found

    def close(self) -> None:
        return
