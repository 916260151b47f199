"""Sounding shapes: a seeded world of clips with picture, sound and truth. What is heavy is imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.synth.classes import CLASSES as CLASSES
    from avseg.synth.difficulty import DIFFICULTIES as DIFFICULTIES
    from avseg.synth.programme import VideoSpec as VideoSpec
    from avseg.synth.video import SynthVideo as SynthVideo
    from avseg.synth.video import make_video as make_video
    from avseg.synth.world import SynthClip as SynthClip
    from avseg.synth.world import ensemble as ensemble
    from avseg.synth.world import make_clip as make_clip

_HOMES = {
    "CLASSES": ".classes",
    "DIFFICULTIES": ".difficulty",
    "SynthClip": ".world",
    "SynthVideo": ".video",
    "VideoSpec": ".programme",
    "ensemble": ".world",
    "make_clip": ".world",
    "make_video": ".video",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
