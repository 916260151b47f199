"""Opening a media file: what is in it, on which clock, and one clear sentence when it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class MediaError(ValueError):
    """A file that cannot be read as video (or sound); the message is one sentence for the user."""


class Orientation(NamedTuple):
    """How the stored picture is turned before it is shown: transposed first, then mirrored."""

    transpose: bool = False
    mirror: bool = False
    """Left and right change places."""
    upturn: bool = False
    """Top and bottom change places."""

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) as stored to (H', W', 3) as shown, contiguous."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        if self.mirror:
            picture = picture[:, ::-1]
        if self.upturn:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


@dataclass(frozen=True)
class SoundInfo:
    """The sound stream that goes with the picture."""

    codec: str
    sample_rate: int
    channels: int
    layout: str


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds. Sizes are those shown, after rotation."""

    path: Path
    width: int
    height: int
    fps: float
    """Mean frame rate as the file states it."""
    duration: float
    """s, as the file states it; the frames that can be decoded may end earlier."""
    codec: str
    orientation: Orientation
    pixel_aspect: float
    """Width of a pixel over its height as shown."""
    start: float
    """s on the file's own clock; the first picture, zero on the clock used everywhere else."""
    sound: SoundInfo | None


@contextmanager
def open_media(path: str | Path) -> Iterator[Any]:
    """The opened container; only local files, whatever a playlist inside may ask for.

    Raises:
        MediaError: no such file, an empty file, or one that FFmpeg cannot open.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise MediaError(f"{path} is not a file; give the path of a video")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes); the copy or download that made it did not finish")
    try:
        container = av.open(str(path.resolve()), options={"protocol_whitelist": "file"}, metadata_errors="ignore")
    except PermissionError as error:
        raise MediaError(f"{path} may not be read: {error.strerror}") from error
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{path} cannot be opened as a video ({reason}); it is cut short, damaged, or no video at all"
        ) from error
    with container:
        yield container


def picture_stream(container: Any, path: str | Path) -> Any:
    """The first video stream that is not a cover picture.

    Raises:
        MediaError: there is none.
    """
    for stream in container.streams.video:
        if not _is_cover(stream):
            # Not by frame: closing such a decoder in mid-stream was seen to wait for its threads for ever.
            stream.thread_type = "SLICE"
            return stream
    held = ", ".join(sorted({stream.type for stream in container.streams})) or "no streams"
    raise MediaError(f"{path} has no picture (it holds {held}); a video with a picture stream is wanted")


def sound_stream(container: Any) -> Any | None:
    """The sound stream FFmpeg takes for the best (the first of the most channels), or None."""
    return container.streams.best("audio")


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(getattr(stream, "disposition", "")).lower()


def probe(path: str | Path) -> VideoInfo:
    """Open `path`, decode its first frame and say what it holds.

    Raises:
        MediaError: as `open_media` and `picture_stream`, or no frame can be decoded.
    """
    with open_media(path) as container:
        stream = picture_stream(container, path)
        sound = sound_stream(container)
        frame, start = first_frame(container, stream, path)
        orientation = orientation_of(frame)
        width, height = frame.width, frame.height
        aspect = float(stream.sample_aspect_ratio or 1) or 1.0
        if orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        return VideoInfo(
            path=Path(path),
            width=width,
            height=height,
            fps=float(stream.average_rate or stream.guessed_rate or 25),
            duration=_duration(container, stream),
            codec=stream.codec_context.name,
            orientation=orientation,
            pixel_aspect=aspect,
            start=start,
            sound=None if sound is None else _sound_info(sound),
        )


def first_frame(container: Any, stream: Any, path: str | Path) -> tuple[Any, float]:
    """The first decodable frame and its time in seconds on the file's own clock."""
    for frame in decoded(container, stream):
        return frame, 0.0 if frame.pts is None else float(frame.pts * frame.time_base)
    raise MediaError(f"{path} holds no frame that can be decoded; it is empty or cut short")


def decoded(container: Any, stream: Any) -> Iterator[Any]:
    """All frames of `stream` that can be decoded; damaged packets are passed over, a cut end ends it."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from frames


def orientation_of(frame: Any) -> Orientation:
    """The quarter turn and mirroring that a frame's display matrix asks for.

    The matrix takes (x, y) to (a x + c y, b x + d y); other angles go to the nearest quarter.
    """
    for item in frame.side_data:
        if "DISPLAYMATRIX" in str(getattr(item, "type", "")):
            a, b, _, c, d = np.frombuffer(bytes(item), dtype=np.int32)[:5].tolist()
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return Orientation(False, a < 0, d < 0)
            return Orientation(True, c < 0, b < 0)
    return Orientation()


def _duration(container: Any, stream: Any) -> float:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6


def _sound_info(stream: Any) -> SoundInfo:
    context = stream.codec_context
    return SoundInfo(context.name, context.sample_rate, context.layout.nb_channels, context.layout.name)
