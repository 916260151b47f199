"""Opening a media file: its streams, its clock, and one clear sentence if it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avseg.io.clock import Clock
from avseg.io.orientation import Orientation, orientation_of
from avseg.io.streams import (
    MediaError,
    can_be_decoded,
    codec_name,
    picture_stream,
    sound_stream,
    sound_streams,
    stated_rate,
)

__all__ = ["Media", "MediaError", "SoundInfo", "VideoInfo", "open_media", "probe", "why_silent"]

OPTIONS = {"protocol_whitelist": "file", "merge_pmt_versions": "1"}
"""Options of FFmpeg for every file: local files only; renumbered streams of a transport stream are merged."""
LONG_LOOK = {"probesize": str(2**26), "analyzeduration": str(60 * 10**6)}
"""Bytes and microseconds in which FFmpeg looks for streams."""
DECODED_AT = ("avi", "asf", "asf_o")
"""Formats that say when a picture is decoded. When it is shown, FFmpeg guesses from that, and wrongly where pictures
wait for later ones; its decoders give pictures in the order of showing."""


@dataclass(frozen=True)
class SoundInfo:
    """The sound stream that goes with the picture."""

    codec: str
    sample_rate: int
    channels: int
    layout: str


@dataclass(frozen=True)
class VideoInfo:
    """Facts from the header of a video file. Sizes are as shown, after rotation."""

    path: Path
    width: int
    height: int
    fps: float
    """Mean frame rate as the file states it, 25 where it states none that can be right; nobody has counted."""
    duration: float
    """s, as the file states it, 0 where it states none; `Pictures.end` is where the frames really end."""
    codec: str
    orientation: Orientation
    pixel_aspect: float
    """Width of a pixel over its height as shown."""
    start: float
    """s on the file's own clock; the first picture, zero on the clock used everywhere else."""
    sound: SoundInfo | None
    silent: str = ""
    """Why there is no sound to hear, as the end of a sentence about the file; empty where there is some."""
    part: tuple[float, float] | None = None
    """s from the first picture, begin and end of what is used, whose time counts from there; the end may be infinite.
    None: all."""
    other_sound: Path | None = None
    """The file whose sound stands in place of the video's own, from the first picture on."""
    still: float = 0.0
    """s that a file of one picture is shown; 0: a video."""

    @property
    def as_it_is(self) -> bool:
        """Whether the whole file is used with its own sound."""
        return self.part is None and self.other_sound is None


@dataclass(eq=False)
class Media:
    """An opened file: the streams that are used, and their packets on one clock. It is read once."""

    path: Path
    container: Any
    picture: Any | None
    """The picture stream; None where there is none to be seen."""
    sound: Any | None
    """The sound stream that belongs to the picture; None where there is none to be heard."""
    clock: Clock
    damaged: int = 0
    """Packets read so far that are marked as damaged, or that the decoder refused."""

    def seen(self) -> Any:
        """The picture stream.

        Raises:
            MediaError: there is none.
        """
        return picture_stream(self.container, self.path) if self.picture is None else self.picture

    def packets(self) -> Iterator[Any]:
        """Packets of picture and sound on one clock; a cut end or a fault of the container ends them."""
        used = {stream.index for stream in (self.picture, self.sound) if stream is not None}
        return self.clock.repaired(_demuxed(self.container, self.picture), used)

    def frames(self, stream: Any) -> Iterator[Any]:
        """All frames of picture or sound that can be decoded; damaged packets are passed over."""
        for packet in self.packets_of(stream):
            yield from self.decoded(packet)
        yield from self.left(stream)

    def packets_of(self, stream: Any) -> Iterator[Any]:
        """Yield the packets of picture or sound."""
        for packet in self.packets():
            self.damaged += bool(packet.size and packet.is_corrupt)
            if packet.stream.index == stream.index:
                yield packet

    def decoded(self, packet: Any) -> Iterator[Any]:
        """The frames that the decoder gives for a packet; none for one that it refuses."""
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            self.damaged += not (packet.size and packet.is_corrupt)
            return
        yield from frames

    def left(self, stream: Any) -> Iterator[Any]:
        """The frames that the decoder holds when there are no more packets."""
        from av.error import FFmpegError

        # After a cut end nothing has told the decoder to give what it holds; elsewhere there is nothing left.
        try:
            held = stream.codec_context.decode(None)
        except FFmpegError:
            return
        for frame in held:
            frame.time_base = frame.time_base or stream.time_base  # PyAV sets it where there is a packet
            yield frame


def _demuxed(container: Any, picture: Any | None) -> Iterator[Any]:
    from av.error import FFmpegError

    packets, guessed = container.demux(), container.format.name in DECODED_AT
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError, IndexError):
            # PyAV stumbles at the end over streams that began in mid-file; all packets have been given by then.
            return
        if guessed and picture is not None and packet.stream.index == picture.index:
            packet.pts = None
        yield packet


@contextmanager
def open_media(path: str | Path) -> Iterator[Media]:
    """Open a file; only local files are allowed, also inside playlists.

    Raises:
        MediaError: no such file, an empty file, or one that FFmpeg cannot open.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise MediaError(f"{path} is not a file; give the path of a video")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes); copy or download it again")
    try:
        container = _opened(path)
    except PermissionError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}") from error
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{path} cannot be opened as a video ({reason}); it is truncated, damaged or not a video"
        ) from error
    with container:
        picture = _picture_or_none(container, path)
        yield Media(path, container, picture, sound_stream(container, picture), Clock.of(container))


def _opened(path: Path) -> Any:
    """The container; where a usual look finds no sound, after a longer one: streams may begin late."""
    import av

    found: Any = av.open(str(path.resolve()), options=OPTIONS, **any_metadata())
    if any(can_be_decoded(sound) and sound.codec_context.sample_rate for sound in found.streams.audio):
        return found
    found.close()
    return av.open(str(path.resolve()), options=OPTIONS | LONG_LOOK, **any_metadata())


def any_metadata() -> dict[str, Any]:
    """Arguments of `av.open` that let files with titles in broken UTF-8 open. PyAV 19 opens them without arguments."""
    import av

    return {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}


def _picture_or_none(container: Any, path: Path) -> Any | None:
    try:
        return picture_stream(container, path)
    except MediaError:
        return None


def probe(path: str | Path) -> VideoInfo:
    """Open `path`, decode its first frame and return its facts.

    Raises:
        MediaError: as `open_media` and `picture_stream`, or no frame can be decoded.
    """
    with open_media(path) as media:
        stream, sound = media.seen(), media.sound
        frame = first_frame(media)
        orientation = orientation_of(frame)
        width, height = frame.width, frame.height
        aspect = float(stream.sample_aspect_ratio or 1) or 1.0
        if orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        return VideoInfo(
            path=media.path,
            width=width,
            height=height,
            fps=stated_rate(stream) or 25.0,
            duration=stated_duration(media),
            codec=stream.codec_context.name,
            orientation=orientation,
            pixel_aspect=aspect,
            start=time_of(frame) or 0.0,
            sound=None if sound is None else sound_info(sound),
            silent="" if sound is not None else _why_silent(media),
        )


def first_frame(media: Media) -> Any:
    """The first picture that can be decoded.

    Raises:
        MediaError: no picture stream, or none of its frames can be decoded.
    """
    for frame in media.frames(media.seen()):
        return frame
    raise MediaError(f"{media.path} has no frame that can be decoded; it is empty or truncated")


def picture_start(path: str | Path) -> float | None:
    """s on the file's own clock, when the first picture is shown; None where there is no picture to see."""
    with open_media(path) as media:
        try:
            return time_of(first_frame(media)) or 0.0
        except MediaError:
            return None


def time_of(frame: Any) -> float | None:
    """s on the file's own clock, when a frame is shown or heard; None where it bears no stamp."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None else float(stamp * frame.time_base)


def stated_duration(media: Media) -> float:
    """s, the length of the picture as the file states it, else of the whole file; 0 where it states none."""
    stream = media.seen()
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return float(media.container.duration or 0) / 1e6


def why_silent(path: str | Path) -> str:
    """Why a file has no sound to hear, as the end of a sentence about it."""
    with open_media(path) as media:
        return _why_silent(media)


def _why_silent(media: Media) -> str:
    if media.sound is not None:
        return "has sound that cannot be decoded"
    codecs = [codec_name(media.container, one) for one in sound_streams(media.container, media.picture)]
    if not codecs:
        return "has no sound"
    return f"has only sound of codec {', '.join(codecs)}, which this FFmpeg cannot decode"


def sound_info(stream: Any) -> SoundInfo:
    """Return the facts of a sound stream that can be decoded."""
    context = stream.codec_context
    return SoundInfo(context.name, context.sample_rate, context.layout.nb_channels, context.layout.name)
