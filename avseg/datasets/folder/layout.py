"""Writing the synthetic world as a folder of videos
(docs/how-to/own-data.md): MP4 with sound, and a label map per second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avseg.datasets.folder.find import CLASSES as CLASS_LIST
from avseg.datasets.folder.splits import TABLE
from avseg.io.files import write_text
from avseg.io.image import write_png
from avseg.render.palette import palette
from avseg.synth.classes import CLASSES
from avseg.synth.layout import ClipLayout, ClipPart, Place, write_csv
from avseg.synth.options import ClipOptions, SoundOptions
from avseg.synth.summary import WriteSummary
from avseg.synth.world import SHOWN_AFTER, TASKS, SynthClip
from avseg.synth.writers import VIDEO_FPS, write_clips


def _save(root: Path, clip: SynthClip, _: Place) -> None:
    colours = palette(TASKS["semantic"]).tolist()
    for second, labels in enumerate(clip.labels):
        number = round((second + SHOWN_AFTER) * VIDEO_FPS)
        write_png(root / clip.id / f"frame_{number:06d}.png", labels, colours)


def _tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    write_csv(root / TABLE, ("name", "split"), [(name, place.split) for name, place in clips])
    write_text(root / CLASS_LIST, "\n".join(CLASSES) + "\n")


def _video(root: Path, name: str, _: Place) -> Path:
    return root / f"{name}.mp4"


LAYOUT = ClipLayout((ClipPart("folder"),), _save, _video, _tables)


def write(root: Path, clips: int, seed: int, options: SoundOptions, workers: int = 0) -> WriteSummary:
    """Write videos of the world `seed` with label maps of the pictures that its truth is of."""
    whole = ClipOptions(options.difficulty, options.size, video=True, stereo=options.stereo)
    return write_clips("folder", LAYOUT, root, clips, seed, whole, workers)
