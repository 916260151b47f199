"""Frames of a late part of a video, without decoding everything before it.

The file is read from its beginning, so that times come out as they do without this; what lies before the last keyframe
at or before the part is passed over. Where a file gives reason to doubt that the same frames come, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain
from typing import Any

from avseg.io.media import Media, time_of

CODECS = frozenset(("av1", "ffv1", "h264", "hevc", "libdav1d", "mjpeg", "mpeg2video", "mpeg4", "prores", "vp9"))
"""Decoders that give one frame for each packet, and from a keyframe on the same as from the beginning."""
REORDERED = 32
"""Packets that may come before one that is shown before them; in H.264 and HEVC 16 at most."""
MOST = 2**26
"""Bytes of packets that are held while a later keyframe may come."""


class DoubtError(Exception):
    """The frames from a keyframe on may not be those of decoding everything."""


@dataclass(frozen=True, order=True)
class Passed:
    """A frame that is not decoded: when it is shown, as its packet says, in the units of a decoded one."""

    pts: int
    dts: int = field(compare=False)
    duration: int | None = field(compare=False)
    time_base: Fraction = field(compare=False)


def late_frames(media: Media, begin: float) -> Iterator[Any]:
    """All frames of the picture in the order of showing; those that need not be decoded are `Passed`.

    Args:
        media: An opened file.
        begin: s from its first frame; the frame that is shown then, and all after it, are decoded.

    Raises:
        MediaError: no picture stream.
        DoubtError: see there; frames shown after `begin` have not been given then.
    """
    stream, order = media.seen(), _Order()
    packets, wanted = media.packets_of(stream), -math.inf
    for packet in packets:
        if packet.is_keyframe and packet.pts is not None and _shown(packet) <= wanted:
            yield from _told(order, media.left(stream))
            stream.codec_context.flush_buffers()
            held = [packet]
            yield from _passed(media, packets, held, order, wanted)
            frames = (frame for packet in chain(held, packets) for frame in media.decoded(packet))
            yield from _from_key(chain(frames, media.left(stream)), held[0].pts)
            return
        for frame in _told(order, media.decoded(packet)):
            if wanted == -math.inf and (stamp := time_of(frame)) is not None and stream.codec_context.name in CODECS:
                wanted = stamp + begin
            yield frame
    yield from media.left(stream)


def _told(order: _Order, frames: Iterator[Any]) -> Iterator[Any]:
    for frame in frames:
        order.last = max(order.last, frame.pts if frame.pts is not None else order.last)
        yield frame


def _passed(media: Media, packets: Iterator[Any], held: list[Any], order: _Order, wanted: float) -> Iterator[Passed]:
    """Frames of the packets before the last keyframe; leaves that one and those read since in `held`.

    Args:
        media: The file.
        packets: Of its picture, behind those held.
        held: A keyframe.
        order: Knows what was shown before it.
        wanted: s on the file's own clock; the keyframe is shown by then.
    """
    size = held[0].size
    for packet in packets:
        if not packet.size or packet.pts is None or packet.dts is None:
            held.append(packet)
            break
        if packet.is_keyframe and _shown(packet) <= wanted:
            for one in held:
                yield from order.given(one)
            held.clear()
            size = 0
        held.append(packet)
        size += packet.size
        if packet.dts * packet.time_base > wanted or size > MOST:
            break
    if media.clock.cuts or media.damaged:
        raise DoubtError("stamps start anew, or packets are damaged")
    for one in held[1:]:
        if one.size and one.pts is not None and one.pts < held[0].pts:
            yield from order.given(one)
    yield from order.rest(held[0].pts)


def _from_key(frames: Iterator[Any], key: int) -> Iterator[Any]:
    """Decoded frames from that of a keyframe on, whose stamp is `key`."""
    for frame in frames:
        if frame.pts is not None and frame.pts < key:
            continue  # shown before the keyframe, and made of frames that were passed over
        if frame.pts != key or frame.is_corrupt:
            break
        yield frame
        yield from frames
        return
    raise DoubtError("a keyframe that does not stand for itself")


class _Order:
    """Puts packets in the order in which their frames are shown."""

    def __init__(self) -> None:
        self.last = -(2**63)
        """The stamp of the last frame that was given."""
        self._waiting: list[Passed] = []

    def given(self, packet: Any) -> Iterator[Passed]:
        """The frame of the next packet in the order of decoding, or one that waited for it."""
        if packet.is_corrupt or packet.is_discard or packet.has_sidedata("new_extradata"):
            raise DoubtError("a packet that tells the decoder more than a frame, or less")
        heappush(self._waiting, Passed(packet.pts, packet.dts, packet.duration, packet.time_base))
        if len(self._waiting) > REORDERED:
            yield self._next()

    def rest(self, end: int) -> Iterator[Passed]:
        """Yield the remaining frames, all shown before the timestamp `end`."""
        while self._waiting:
            found = self._next()
            if found.pts >= end:
                raise DoubtError("frames before a keyframe that are shown after it")
            yield found

    def _next(self) -> Passed:
        found = heappop(self._waiting)
        if found.pts <= self.last:
            raise DoubtError("stamps that repeat or go back")
        self.last = found.pts
        return found


def _shown(packet: Any) -> float:
    """s on the file's own clock."""
    return float(packet.pts * packet.time_base)
