"""Selection of the streams of a file that belong together and can be decoded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

HIGHEST = 480.0
"""Pictures a second; a header that claims more is not believed."""


class MediaError(ValueError):
    """A file that cannot be read as video (or sound); the message is one sentence for the user."""


def picture_stream(container: Any, path: str | Path) -> Any:
    """The first video stream that is not a cover picture and can be decoded.

    Raises:
        MediaError: there is none.
    """
    pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
    for stream in pictures:
        if can_be_decoded(stream):
            # Not by frame: closing such a decoder in mid-stream was seen to wait for its threads for ever.
            stream.thread_type = "SLICE"
            return stream
    if pictures:
        raise MediaError(
            f"{path} has a picture of codec {codec_name(container, pictures[0])}, which this FFmpeg "
            "cannot decode; convert it to a common codec such as H.264"
        )
    kinds = {"cover" if _is_cover(stream) else stream.type for stream in container.streams}
    held = ", ".join(sorted(kinds)) or "no streams"
    raise MediaError(f"{path} has no picture stream (it holds {held}); give a video")


def sound_streams(container: Any, picture: Any | None = None) -> list[Any]:
    """The sound streams that belong to `picture` (its programme in a transport stream, else all), best first.

    The choice of FFmpeg's library comes first; those that cannot be decoded are among them.
    """
    best = container.streams.best("audio", picture)
    if best is None:
        return []
    # PyAV does not list programmes; two streams are of one programme where their best sound is the same.
    mates = [one for one in container.streams.audio if _same(container.streams.best("audio", one), best)]
    return sorted(mates, key=lambda one: one.index != best.index)


def sound_stream(container: Any, picture: Any | None = None) -> Any | None:
    """The best of `sound_streams` that can be decoded, or None."""
    return next((stream for stream in sound_streams(container, picture) if can_be_decoded(stream)), None)


def can_be_decoded(stream: Any) -> bool:
    """Whether FFmpeg has a decoder for it."""
    return stream.codec_context is not None


def stated_rate(stream: Any) -> float:
    """Pictures a second as the file states them, the first of its figures that can be right; 0 where there is none."""
    rates = (float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate)
    return next((rate for rate in rates if rate <= HIGHEST), 0.0)


def codec_name(container: Any, stream: Any) -> str:
    """Return the name of a stream's codec; if FFmpeg has none, the file's four-character code, or else `unknown`."""
    if can_be_decoded(stream):
        return str(stream.codec_context.name)
    # A stream without a decoder bears no name in PyAV; FFmpeg's own description of the file has it.
    line = re.search(rf"Stream #0:{stream.index}\b.*?: \w+: (\w+)(?: \((\S+) /)?", _described(container))
    if line is None:
        return "unknown"
    name, tag = line.groups()
    return tag if name in ("none", "unknown") and tag and "[" not in tag else str(name)


def _described(container: Any) -> str:
    """Return FFmpeg's description of a file, which it only logs."""
    from av import logging

    level = logging.get_level()
    logging.set_level(logging.INFO)
    try:
        return str(container.dumps_format())
    finally:
        logging.set_level(level)


def _same(one: Any | None, other: Any) -> bool:
    return one is not None and bool(one.index == other.index)


def _is_cover(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)
