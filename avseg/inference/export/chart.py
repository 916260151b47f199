"""A chart of a video's sound, of what is heard and of the marked objects, over one time axis."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.inference.export.explain_rows import heard_rows, noun_rows, object_rows, records
from avseg.inference.export.writer import Subject, Told
from avseg.io.video import iter_audio
from avseg.nn.mel import LOG_OFFSET, SAMPLE_RATE
from avseg.nn.resample import resample
from avseg.render.palette import palette
from avseg.render.report import photograph
from avseg.render.spectrum import log_mel_columns, paint_log_mel
from avseg.render.timescale import TimeChart
from avseg.types import Clip

SPECTRUM = (110, 834)
"""(H, W) of the spectrogram in pixels."""
QUIET, LOUD = math.log(LOG_OFFSET), math.log(1.0)
"""Log-mel values drawn as black and as white; the upper one grows with louder sound."""


def time_chart(subject: Subject, told: Told) -> str:
    """Return an SVG: the spectrogram, and below it on the same time axis what is heard and what is marked."""
    colours = palette(subject.task)
    chart = TimeChart(told.duration)
    columns, step = log_mel_columns(_sound(subject))
    if len(columns):
        painted = paint_log_mel(columns, SPECTRUM, (QUIET, max(LOUD, float(columns.max()))))
        chart.picture("sound, 125 to 7500 Hz", photograph(painted), len(columns) * step)
    else:
        chart.heading("There is no sound.")
    seconds = records(told.explanation, "seconds")
    if seconds:
        chart.heading("Heard, by its probability in each second")
        for name, cells in heard_rows(seconds, told.duration):
            chart.strip(name, cells)
        chart.heading("Nouns that sound")
        for name, cells in noun_rows(seconds):
            chart.bars(name, cells, "#6b7c93")
    chart.heading("Marked objects")
    for number, name, cells in object_rows(told.sounding):
        chart.bars(name, cells, hexadecimal(colours, number))
    return chart.svg("Spectrogram of the sound, and below it on the same time axis what is heard and what is marked.")


def _sound(subject: Subject) -> Iterator[NDArray[np.float32]]:
    """Return the sound at 16 kHz, starting at time zero."""
    source = subject.source
    if not isinstance(source, Clip):
        yield from (piece[0] for _, piece, _ in iter_audio(source, SAMPLE_RATE, 1)) if source.sound else ()
        return
    lead = round(source.audio_start * source.sample_rate)
    wave = torch.nn.functional.pad(source.audio.mean(0), (max(lead, 0), 0))[max(-lead, 0) :]
    yield resample(wave, source.sample_rate, SAMPLE_RATE).float().numpy()


def hexadecimal(colours: NDArray[np.uint8], number: int) -> str:
    """Return the colour of an object for CSS, such as #ff6726.

    Args:
        colours: (256, 3) by id.
        number: The object's id.
    """
    return f"#{bytes(colours[number % len(colours)].tolist()).hex()}"
