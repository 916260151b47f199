"""Run in a fresh process: peak memory in MiB after clips of as many frames as the command line says, one a line."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from avseg.config import InputSpec
from avseg.models.avism.config import AVISMOptions
from avseg.types import Batch, Clip, InstancePrediction
from inference.peak import peak
from inference.tracker import tracker

AT_ONCE = 18


def part(begin: int, frames: int) -> Batch:
    """Frames with a red square, and loud low sound."""
    pictures = torch.full((frames, 3, 180, 320), 30, dtype=torch.uint8)
    pictures[:, 0, 50:100, 60:120] = 230
    times = torch.arange(begin, begin + frames, dtype=torch.float64)
    sound = torch.full((1, 16000 * frames), 0.4)
    return Batch.collate([Clip("c", pictures, times, sound, 16000, audio_start=float(begin))])


if __name__ == "__main__":
    torch.set_num_threads(1)
    model = tracker(width=256, input=InputSpec((180, 180), rule="shorter_side")).eval()
    for count in map(int, sys.argv[1:]):
        session = model.session(AVISMOptions(frames_in_memory=5))
        for begin in range(0, count, AT_ONCE):
            session.step(part(begin, min(AT_ONCE, count - begin)))
        (tracks,) = session.finish((360, 640))
        assert isinstance(tracks, InstancePrediction) and len(tracks.masks) == 1
        del session, tracks
        print(peak())
