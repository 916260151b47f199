"""Writing MP4 that plays in a browser: H.264 (yuv420p) with AAC, or with the original sound kept; video with alpha."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.colour import coded, tag
from avseg.io.files import write_aside
from avseg.io.video_sound import Piece
from avseg.io.voice import Voice, voice_of

CLOCK = Fraction(1, 90000)
"""s, the grain of picture times; frames of any rate and of none fall on it."""

FRAGMENTS = {
    # Without delay_moov the head is written before the encoder of the sound has said how many samples it puts before
    # the first one, and all of the file begins so much later: 0.064 s at 16 kHz.
    "movflags": "+frag_keyframe+delay_moov+default_base_moof",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
"""Options of FFmpeg for an MP4 file that is whole up to its last second at any time."""


@dataclass(frozen=True)
class Coding:
    """How pictures and sound are coded."""

    encoder: str
    """FFmpeg's name of it."""
    form: str
    """Pixel format."""
    options: Mapping[str, str] = field(default_factory=dict)
    sound: str = "aac"
    """Encoder of a sound that is not copied; only where it is AAC are sounds copied."""

    @property
    def alpha(self) -> bool:
        """Whether pictures are (H, W, 4), opacity last and not multiplied into the colours."""
        return self.form.startswith("yuva")


def h264(crf: int = 19) -> Coding:
    """MP4 for browsers; a lower `crf` is better.

    `superfast` costs a third less time than `veryfast` and gives files a third larger (docs/results/speed.md).
    """
    # x264's macroblock tree reads memory that was never written; without it equal pictures give equal bytes.
    # Without pictures that wait for later ones, the lengths in the file are those of the pictures they stand by.
    # By default there are as many slices as cores, which cost bytes, and bytes would tell how many cores there were.
    options = {"crf": str(crf), "preset": "superfast", "bf": "0", "x264-params": "mbtree=0"}
    return Coding("libx264", "yuv420p", {**options, "threads": "4", "thread_type": "frame"})


PRORES_4444 = Coding("prores_ks", "yuva444p10le", {"profile": "4444", "vendor": "apl0", "alpha_bits": "8"})
"""MOV with alpha, for editing."""
VP9_ALPHA = Coding(
    "libvpx-vp9",
    "yuva420p",
    {"crf": "24", "b": "0", "auto-alt-ref": "0", "lag-in-frames": "0", "deadline": "good", "cpu-used": "5"},
    "libopus",
)
"""WebM with alpha, for web pages; with sound as Opus."""


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
        coding: Coding | None = None,
        in_fragments: bool = False,
    ) -> None:
        """Open `path` for writing.

        Args:
            path: the file; its suffix names the container.
            fps: frame rate, for frames written without a time and for the length of the last one.
            sound: a video whose sound is kept (copied as it is where MP4 takes its packets, otherwise turned to AAC of
                one or two channels), or pieces (time s, (A, n) float32, rate) as `iter_audio` gives them.
            pixel_aspect: width of a pixel over its height.
            crf: quality of H.264; lower is better.
            coding: of pictures and sound, as the container takes them; H.264 of that quality unless given.
            in_fragments: write MP4 piece by piece, a second each, so that a file whose writer was killed plays up to
                the last of them. Such a file has no index, so that a player has to look for a place to jump to.
        """
        import av

        self._fps = Fraction(fps).limit_denominator(1001)
        self._aspect = Fraction(pixel_aspect).limit_denominator(1000)
        self._coding = coding or h264(crf)
        self._sound = sound
        self._picture: Any = None
        self._voice: Voice | None = None
        self._frames = 0
        self._last = -1
        self._held: Any = None
        """The last packet; how long its picture stays is known when the next one or the end comes."""
        # An absolute path: FFmpeg takes what stands before a colon for the name of a protocol.
        place = Path(path).absolute()
        # Matroska draws a number for every file, unless equal files are to have equal bytes.
        options = {"fflags": "+bitexact"} if place.suffix == ".webm" else {"movflags": "+faststart"}
        self._out = av.open(str(place), "w", options=FRAGMENTS if in_fragments else options)

    def write(self, frame: NDArray[np.uint8], time: float | None = None) -> None:
        """Add one picture shown at `time` seconds (default: the next tick of `fps`).

        It is (H, W, 3) uint8 RGB, or (H, W, 4) with opacity last where the coding has alpha.
        """
        if self._picture is None:
            self._begin(frame.shape[0], frame.shape[1])
        time = self._frames / float(self._fps) if time is None else time
        picture = coded(even(frame), self._coding.form)
        self._last = max(round(time / CLOCK), self._last + 1)
        picture.pts, picture.time_base = self._last, CLOCK
        self._mux(self._picture.encode(picture))
        self._frames += 1
        if self._voice is not None:
            self._out.mux(self._voice.until(time))

    def close(self, end: float | None = None) -> None:
        """Write what is left of picture and sound and close the file.

        Args:
            end: s, when the last picture ends; by default one tick of `fps` after it began.

        Raises:
            ValueError: no frame was written.
        """
        if self._picture is None:
            self._out.close()
            raise ValueError("a video needs at least one frame, none was written")
        self._mux(self._picture.encode(None))
        stop = self._last + round(1 / self._fps / CLOCK) if end is None else round(end / CLOCK)
        self._held.duration = max(round((stop - self._last) * CLOCK / self._held.time_base), 1)
        self._out.mux(self._held)
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
        else:
            self.abandon()

    def abandon(self) -> None:
        """Close the incomplete file."""
        with suppress(OSError, ValueError):
            self._out.close()

    def _begin(self, height: int, width: int) -> None:
        coding = self._coding
        stream = self._out.add_stream(coding.encoder, rate=self._fps, options=dict(coding.options))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, coding.form
        stream.codec_context.time_base = CLOCK
        stream.codec_context.sample_aspect_ratio = self._aspect
        tag(stream.codec_context, stream.height)
        if coding.alpha:
            stream.metadata["alpha_mode"] = "1"
        self._picture = stream
        if self._sound is not None:
            self._voice = voice_of(self._out, self._sound, coding.sound)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if self._held is not None:
                self._out.mux(self._held)
            self._held = packet


def even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) with both sides even, the last row or column repeated where one is missing (yuv420p wants pairs)."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return frame


def pieces_of(audio: Tensor | NDArray[np.float32], sample_rate: int) -> Iterator[Piece]:
    """(A, S) sound that begins at zero, a second at a time."""
    sound = np.asarray(audio, dtype=np.float32)
    for start in range(0, sound.shape[1], sample_rate):
        yield start / sample_rate, sound[:, start : start + sample_rate], sample_rate
