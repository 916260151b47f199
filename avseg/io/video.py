"""The public functions that read and write video.

Time is in seconds from the first picture, on the clock that picture and sound share.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from avseg.io.media import MediaError, SoundInfo, VideoInfo, probe, why_silent
from avseg.io.part import VIDEO_SUFFIXES
from avseg.io.pictures import Pictures, StillPictures
from avseg.io.video_sound import iter_audio, read_audio
from avseg.io.video_writer import VideoWriter, write_video

__all__ = [
    "VIDEO_SUFFIXES",
    "MediaError",
    "Pictures",
    "SoundInfo",
    "VideoInfo",
    "VideoWriter",
    "iter_audio",
    "iter_frames",
    "probe",
    "read_audio",
    "why_silent",
    "write_video",
]


def iter_frames(
    path: str | Path | VideoInfo, fps: float | Fraction | None = None, offset: float = 0.0, *, warn: bool = True
) -> Pictures:
    """Iterate over (time in s, picture (H, W, 3) uint8 RGB as shown, rotation applied).

    Args:
        path: any file FFmpeg can open; or what is known of one, which may name a part of it.
        fps: None gives every frame at its own time. A rate gives one picture at each time offset + k / fps up to the
            end of the video: the last frame shown by then. A video that ends before `offset` gives its last frame.
        offset: s, the first time of that grid.
        warn: log a warning when the file turns out to be cut short.

    Returns:
        The iterator; its `end` is the end of the last frame in s once all pictures have been given.

    Raises:
        ValueError: a rate that is not positive.
        MediaError: while iterating, where the file cannot be opened or holds no picture; see `open_media`.
    """
    if fps is not None and fps <= 0:
        raise ValueError(f"fps is {fps}, wanted a positive number of pictures per second")
    rate = fps if fps is None or isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1000)
    if not isinstance(path, VideoInfo):
        return Pictures(path, rate, offset, warn)
    if path.still:
        return StillPictures(path.path, path.still, rate, offset, path.part)
    return Pictures(path.path, rate, offset, warn, path.part)
