"""The sound of a written video: copied packet by packet if MP4 supports it, else converted to AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avseg.io.media import open_media, picture_start
from avseg.io.video_sound import GAP, Piece, iter_audio

COPIED = ("aac", "mp3")
"""Sound codecs that MP4 and every browser take as they are."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
BROWSER_RATE = 48000
"""Hz, for sounds of a rate that AAC does not know."""
LEAD = 0.1
"""s of sound before the first picture that is copied along; decoders need the packets right before what they play."""


class Voice(Protocol):
    """Gives the packets of a sound in the order of time."""

    def until(self, time: float) -> list[Any]:
        """Yield the new packets that begin by `time` s."""


def voice_of(out: Any, sound: Iterator[Piece] | str | Path, encoder: str = "aac") -> Voice | None:
    """The sound for an opened file to be written, with its stream in it; None where there is none.

    Args:
        out: the file.
        sound: pieces as `iter_audio` gives them, or a video whose sound is kept.
        encoder: of sound that is not copied; only where it is AAC is any sound copied.
    """
    if not isinstance(sound, (str, Path)):
        return _Encoded.begun(out, sound, encoder)
    source = Path(sound)
    with open_media(source) as media:
        if media.sound is None:
            return None
        channels = media.sound.codec_context.layout.nb_channels
    if encoder == "aac" and _can_be_copied(source):
        return _Copied(out, source)
    return _Encoded.begun(out, iter_audio(source, channels=min(channels, 2)), encoder)


def _can_be_copied(source: Path) -> bool:
    """Whether MP4 takes all packets of the sound; tried with a file that is thrown away."""
    import av

    with open_media(source) as media:
        if media.sound is None or media.sound.codec_context.name.removesuffix("float") not in COPIED:
            return False
    try:
        with av.open(_Nowhere(), "w", format="mp4") as out:
            headers = set()
            for packet in _packets(out, source):
                headers.add(_fixed_header(bytes(packet)))
                out.mux(packet)
    except (av.error.FFmpegError, ValueError):
        return False
    return len(headers) == 1


def _fixed_header(packet: bytes) -> bytes:
    """Return rate and speakers from the header of an ADTS or MP3 packet; empty for packets without one.

    MP4 holds it once for the whole stream, so that it must not change.
    """
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] & 0xE0 != 0xE0:
        return b""
    if packet[1] & 0x06 == 0:  # ADTS: rate and speakers
        return bytes([packet[1] & 0xF6, packet[2] & 0x3D, packet[3] & 0xC0])
    return bytes([packet[1] & 0xFE, packet[2] & 0x0C, packet[3] & 0xC0 == 0xC0])  # MP3: rate, one speaker or two


class _Nowhere:
    """A file that forgets what is written to it."""

    def __init__(self) -> None:
        self._at = 0

    def write(self, content: bytes) -> int:
        self._at += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._at + offset
        return self._at

    def tell(self) -> int:
        return self._at


def _packets(out: Any, source: Path) -> Iterator[Any]:
    """Sound packets of a file as they are, from its first picture on and with stamps that grow, for a new stream of
    `out`."""
    zero = picture_start(source) or 0.0
    with open_media(source) as media:
        stream: Any = media.sound
        copy = out.add_stream_from_template(stream)
        tick, reached = stream.time_base, None
        for packet in media.packets():
            if packet.stream.index != stream.index or not packet.size:
                continue
            length = packet.duration or 0
            stamp = packet.pts if packet.pts is not None else packet.dts
            stamp = (reached or 0) if stamp is None else stamp - round(zero / tick)
            if (stamp + length) * tick < -LEAD:
                continue
            if reached is not None and stamp < reached:
                if (reached - stamp) * tick > GAP and stamp + length <= reached:
                    continue  # the same time twice; `iter_audio` leaves it out as well
                stamp = reached
            packet.pts = packet.dts = stamp
            packet.stream = copy
            reached = stamp + max(length, 1)
            yield packet


class _Copied:
    """Sound packets of a file as they are, on the clock of its picture."""

    def __init__(self, out: Any, source: Path) -> None:
        self._packets = _packets(out, source)
        self._next: Any = next(self._packets, None)

    def until(self, time: float) -> list[Any]:
        due = []
        while self._next is not None and self._next.pts * self._next.time_base <= time:
            due.append(self._next)
            self._next = next(self._packets, None)
        return due


class _Encoded:
    """Pieces of sound as AAC or in another form."""

    def __init__(self, out: Any, pieces: Iterator[Piece], encoder: str, rate: int, channels: int) -> None:
        self._pieces = pieces
        known = encoder == "aac" and rate in AAC_RATES
        self._stream = out.add_stream(encoder, rate=rate if known else BROWSER_RATE)
        self._stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        self._stream.codec_context.bit_rate = 96_000 * channels
        self._reached = 0.0
        self._samples = 0
        self._done = False

    @classmethod
    def begun(cls, out: Any, pieces: Iterator[Piece], encoder: str) -> _Encoded | None:
        first = next(pieces, None)
        if first is None:
            return None
        return cls(out, chain([first], pieces), encoder, first[2], first[1].shape[0])

    def until(self, time: float) -> list[Any]:
        packets: list[Any] = []
        while not self._done and self._reached <= time:
            piece = next(self._pieces, None)
            if piece is None:
                self._done = True
                packets += self._stream.encode(None)
            elif not piece[1].shape[1]:
                break  # a live sound has come no further
            else:
                packets += self._encode(*piece)
        return packets

    def _encode(self, start: float, sound: NDArray[np.float32], rate: int) -> list[Any]:
        from av import AudioFrame

        if not self._samples:
            self._samples = round(start * rate)
        layout = "mono" if sound.shape[0] == 1 else "stereo"
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, self._samples, Fraction(1, rate)
        self._samples += sound.shape[1]
        self._reached = self._samples / rate
        return list(self._stream.encode(frame))
