"""Writing MP4 that plays in a browser: H.264 (yuv420p) with AAC, or with the original sound kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.files import write_aside
from avseg.io.media import first_frame, open_media, picture_stream, sound_stream
from avseg.io.video_sound import iter_audio

CLOCK = Fraction(1, 90000)
"""s, the grain of picture times; frames of any rate and of none fall on it."""
COPIED = ("aac", "mp3")
"""Sound codecs that MP4 and every browser take as they are."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
BROWSER_RATE = 48000
"""Hz, for sounds of a rate that AAC does not know."""
Piece: TypeAlias = tuple[float, NDArray[np.float32], int]
"""Time of the first sample in s, (A, n) samples, rate in Hz."""


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    audio: Tensor | NDArray[np.float32] | None = None,
    sample_rate: int | None = None,
) -> Path:
    """Write (H, W, 3) uint8 frames, and (A, S) float sound of 1 or 2 channels that begins with the picture, as MP4.

    The file is whole or absent. Both sides are made even by repeating the last column or row.

    Raises:
        ValueError: no frames, or sound without its rate.
    """
    if audio is not None and sample_rate is None:
        raise ValueError("sound needs its sample_rate in Hz to be written")
    sound = pieces_of(audio, sample_rate) if audio is not None and sample_rate is not None else None
    with write_aside(Path(path)) as aside, VideoWriter(aside, fps, sound=sound) as writer:
        for frame in frames:
            writer.write(frame)
    return Path(path)


class VideoWriter:
    """Streams frames into an MP4 in constant memory; sound is laid in step with the picture.

    It writes to `path` itself: wrap it in `avseg.io.files.write_aside` for a file that is whole or absent.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        *,
        sound: Iterator[Piece] | str | Path | None = None,
        pixel_aspect: float = 1.0,
        crf: int = 19,
    ) -> None:
        """Open `path` for writing.

        Args:
            path: the file; its suffix names the container.
            fps: frame rate, for frames written without a time and for the encoder's rate control.
            sound: a video whose sound is kept (copied as it is where MP4 takes its codec, otherwise turned to AAC of
                one or two channels), or pieces (time s, (A, n) float32, rate) as `iter_audio` gives them.
            pixel_aspect: width of a pixel over its height.
            crf: quality of H.264; lower is better.
        """
        import av

        self._fps = Fraction(fps).limit_denominator(1001)
        self._aspect = Fraction(pixel_aspect).limit_denominator(1000)
        self._crf = crf
        self._sound = sound
        self._picture: Any = None
        self._voice: _Copied | _Encoded | None = None
        self._frames = 0
        self._last = -1
        self._out = av.open(str(path), "w", options={"movflags": "+faststart"})

    def write(self, frame: NDArray[np.uint8], time: float | None = None) -> None:
        """Add one (H, W, 3) uint8 RGB picture shown at `time` seconds (default: the next tick of `fps`)."""
        from av import VideoFrame

        if self._picture is None:
            self._begin(frame.shape[0], frame.shape[1])
        time = self._frames / float(self._fps) if time is None else time
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(even(frame)), format="rgb24")
        self._last = max(round(time / CLOCK), self._last + 1)
        picture.pts, picture.time_base = self._last, CLOCK
        self._out.mux(self._picture.encode(picture))
        self._frames += 1
        if self._voice is not None:
            self._out.mux(self._voice.until(time))

    def close(self) -> None:
        """Write what is left of picture and sound (to the picture's end) and close the file.

        Raises:
            ValueError: no frame was written.
        """
        if self._picture is None:
            self._out.close()
            raise ValueError("a video needs at least one frame, none was written")
        self._out.mux(self._picture.encode(None))
        if self._voice is not None:
            self._out.mux(self._voice.until(float("inf")))
        self._out.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(OSError, ValueError):
            self._out.close()

    def _begin(self, height: int, width: int) -> None:
        # x264's macroblock tree reads memory that was never written; without it equal pictures give equal bytes.
        options = {"crf": str(self._crf), "preset": "veryfast", "x264-params": "mbtree=0"}
        stream = self._out.add_stream("libx264", rate=self._fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.codec_context.time_base = CLOCK
        stream.codec_context.sample_aspect_ratio = self._aspect
        self._picture = stream
        if isinstance(self._sound, (str, Path)):
            self._voice = _voice_of(self._out, Path(self._sound))
        elif self._sound is not None:
            self._voice = _Encoded.begun(self._out, self._sound)


def even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) with both sides even, the last row or column repeated where one is missing (yuv420p wants pairs)."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return frame


def pieces_of(audio: Tensor | NDArray[np.float32], sample_rate: int) -> Iterator[Piece]:
    """(A, S) sound that begins at zero, a second at a time."""
    sound = np.asarray(audio, dtype=np.float32)
    for start in range(0, sound.shape[1], sample_rate):
        yield start / sample_rate, sound[:, start : start + sample_rate], sample_rate


def _voice_of(out: Any, source: Path) -> _Copied | _Encoded | None:
    with open_media(source) as container:
        stream = sound_stream(container)
        if stream is None:
            return None
        codec, channels = stream.codec_context.name.removesuffix("float"), stream.codec_context.layout.nb_channels
    if codec in COPIED:
        return _Copied(out, source)
    return _Encoded.begun(out, iter_audio(source, channels=min(channels, 2)))


class _Copied:
    """Sound packets of a file as they are, on the clock of its picture."""

    def __init__(self, out: Any, source: Path) -> None:
        self._packets = self._read(out, source)
        self._next: Any = next(self._packets, None)

    def until(self, time: float) -> list[Any]:
        """All packets that begin by `time` and were not given yet."""
        due = []
        while self._next is not None and self._next.pts * self._next.time_base <= time:
            due.append(self._next)
            self._next = next(self._packets, None)
        return due

    @staticmethod
    def _read(out: Any, source: Path) -> Iterator[Any]:
        with open_media(source) as container:
            zero = first_frame(container, picture_stream(container, source), source)[1]
        with open_media(source) as container:
            stream: Any = sound_stream(container)
            copy = _from_template(out, stream)
            shift = round(zero / stream.time_base)
            for packet in container.demux(stream):
                if packet.pts is not None and packet.size:
                    packet.pts -= shift
                    packet.dts = packet.pts
                    packet.stream = copy
                    yield packet


def _from_template(out: Any, stream: Any) -> Any:
    """Older PyAV calls it another name."""
    if hasattr(out, "add_stream_from_template"):
        return out.add_stream_from_template(stream)
    return out.add_stream(template=stream)


class _Encoded:
    """Pieces of sound as AAC."""

    def __init__(self, out: Any, pieces: Iterator[Piece], rate: int, channels: int) -> None:
        self._pieces = pieces
        self._stream = out.add_stream("aac", rate=rate if rate in AAC_RATES else BROWSER_RATE)
        self._stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        self._stream.codec_context.bit_rate = 96_000 * channels
        self._reached = 0.0
        self._samples = 0
        self._done = False

    @classmethod
    def begun(cls, out: Any, pieces: Iterator[Piece]) -> _Encoded | None:
        first = next(pieces, None)
        if first is None:
            return None
        return cls(out, chain([first], pieces), first[2], first[1].shape[0])

    def until(self, time: float) -> list[Any]:
        """Packets of the sound up to `time` and were not given yet."""
        packets: list[Any] = []
        while not self._done and self._reached <= time:
            piece = next(self._pieces, None)
            if piece is None:
                self._done = True
                packets += self._stream.encode(None)
            else:
                packets += self._encode(*piece)
        return packets

    def _encode(self, start: float, sound: NDArray[np.float32], rate: int) -> list[Any]:
        from av import AudioFrame

        if not self._samples:
            lead = round(start * rate)
            sound = np.pad(sound, ((0, 0), (max(lead, 0), 0)))[:, max(-lead, 0) :]
        if not sound.shape[1]:
            return []
        layout = "mono" if sound.shape[0] == 1 else "stereo"
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, self._samples, Fraction(1, rate)
        self._samples += sound.shape[1]
        self._reached = self._samples / rate
        return list(self._stream.encode(frame))
